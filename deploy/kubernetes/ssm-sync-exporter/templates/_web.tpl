{{/* What the web configuration requires of clients, as JSON. Probes and the ServiceMonitor both use
     it, so that they agree. */}}
{{- define "ssm-sync-exporter.web" -}}
{{- $config := .Values.web.config -}}
{{- $existing := .Values.web.existingSecret -}}
{{- if and $config $existing.name -}}
{{- fail "web.config and web.existingSecret.name are both set; use one of them" -}}
{{- end -}}
{{- $tls := $config.tls_server_config | default dict -}}
{{- $certificates := has ($tls.client_auth_type | default "") (list "RequireAnyClientCert" "RequireAndVerifyClientCert") -}}
{{- /* Settings that change the probes also change the Secret's name. Otherwise old pods would
       reload the new Secret during a rollout and fail their old probes. */ -}}
{{- $suffix := ternary "-web-mtls" (ternary "-web-tls" "-web" (not (empty $tls))) $certificates -}}
{{- dict
  "secret" (ternary (printf "%s%s" (include "ssm-sync-exporter.fullname" .) $suffix) $existing.name (not (empty $config)))
  "suffix" $suffix
  "tls" (or (not (empty $tls)) (and (not (empty $existing.name)) $existing.tls))
  "clientCertificates" (or $certificates (and (not (empty $existing.name)) $existing.clientCertificates))
  "users" (not (empty $config.basic_auth_users))
| toJson -}}
{{- end -}}

{{/* The web configuration, with the probe paths exempt from passwords and the rate limit. The
     exporter rejects auth_excluded_paths if there are neither. */}}
{{- define "ssm-sync-exporter.webConfig" -}}
{{- $config := deepCopy .Values.web.config -}}
{{- $limit := $config.rate_limit | default dict -}}
{{- if or $config.basic_auth_users (regexMatch "[1-9]" (toString $limit.interval)) -}}
{{- $probePaths := list "/-/healthy" "/-/ready" -}}
{{- if not (hasKey $config "auth_excluded_paths") -}}
{{- $_ := set $config "auth_excluded_paths" $probePaths -}}
{{- end -}}
{{- range $probePaths -}}
{{- if not (has . $config.auth_excluded_paths) -}}
{{- fail (printf "web.config.auth_excluded_paths must contain %s, which the probes request; remove the key to let the chart add it" .) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{ toYaml $config }}
{{- end -}}
