{{/* What the web configuration asks of those who ask: as JSON, and all of it in one place,
     so that probes and the ServiceMonitor agree. */}}
{{- define "ssm-sync-exporter.web" -}}
{{- $config := .Values.web.config -}}
{{- $existing := .Values.web.existingSecret -}}
{{- if and $config $existing.name -}}
{{- fail "web.config and web.existingSecret.name are both set; use one of them" -}}
{{- end -}}
{{- $tls := $config.tls_server_config | default dict -}}
{{- $certificates := has ($tls.client_auth_type | default "") (list "RequireAnyClientCert" "RequireAndVerifyClientCert") -}}
{{- /* Where probes ask in another way, the Secret has another name: pods of before would
       take it up during a rollout, and fail the probes that they have. */ -}}
{{- $suffix := ternary "-web-mtls" (ternary "-web-tls" "-web" (not (empty $tls))) $certificates -}}
{{- dict
  "secret" (ternary (printf "%s%s" (include "ssm-sync-exporter.fullname" .) $suffix) $existing.name (not (empty $config)))
  "suffix" $suffix
  "tls" (or (not (empty $tls)) (and (not (empty $existing.name)) $existing.tls))
  "clientCertificates" (or $certificates (and (not (empty $existing.name)) $existing.clientCertificates))
  "users" (not (empty $config.basic_auth_users))
| toJson -}}
{{- end -}}

{{/* The web configuration, with the paths of the probes left open: a kubelet has no password
     and is not to wait. Where nothing is asked for, the exporter refuses the key. */}}
{{- define "ssm-sync-exporter.webConfig" -}}
{{- $config := deepCopy .Values.web.config -}}
{{- $limit := $config.rate_limit | default dict -}}
{{- if or $config.basic_auth_users (regexMatch "[1-9]" (toString $limit.interval)) -}}
{{- $open := list "/-/healthy" "/-/ready" -}}
{{- if not (hasKey $config "auth_excluded_paths") -}}
{{- $_ := set $config "auth_excluded_paths" $open -}}
{{- end -}}
{{- range $open -}}
{{- if not (has . $config.auth_excluded_paths) -}}
{{- fail (printf "web.config.auth_excluded_paths has to have %s, which the probes ask for; leave the key out to have it added" .) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{ toYaml $config }}
{{- end -}}
