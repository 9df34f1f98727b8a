{{/* What the specs of the ServiceMonitor and the PodMonitor have in common. Arguments: the root
     context and the values of the monitor. */}}
{{- define "ssm-sync-exporter.monitorSpec" -}}
{{- $root := index . 0 -}}
{{- with index . 1 -}}
{{- if not .jobLabel -}}
# Makes the job ssm-sync-exporter, as rules and dashboards expect.
{{ end -}}
jobLabel: {{ .jobLabel | default "app.kubernetes.io/name" | quote }}
selector:
  matchLabels:
    {{- include "ssm-sync-exporter.selectorLabels" $root | nindent 4 }}
{{- $namespace := include "ssm-sync-exporter.namespace" $root }}
{{- if ne (.namespace | default $namespace) $namespace }}
namespaceSelector:
  matchNames: [{{ $namespace | quote }}]
{{- end }}
{{- with .podTargetLabels }}
podTargetLabels:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- $monitor := . }}
{{- range $limit := list "sampleLimit" "targetLimit" "labelLimit" "labelNameLengthLimit" "labelValueLengthLimit" }}
{{- with get $monitor $limit }}
{{ $limit }}: {{ int64 . }}
{{- end }}
{{- end }}
{{- end -}}
{{- end -}}

{{/* The endpoint of the ServiceMonitor or the PodMonitor. Arguments: the root context, the values of
     the monitor, and their key. */}}
{{- define "ssm-sync-exporter.scrape" -}}
{{- $root := index . 0 -}}
{{- $key := index . 2 -}}
{{- $web := include "ssm-sync-exporter.web" $root | fromJson -}}
{{- with index . 1 -}}
{{- if and $web.users (not .basicAuth) -}}
{{- fail (printf "web.config.basic_auth_users requires a password to scrape: set %s.basicAuth" $key) -}}
{{- end -}}
{{- $tlsConfig := .tlsConfig | default dict -}}
{{- if and $web.clientCertificates (not (and $tlsConfig.cert $tlsConfig.keySecret)) (not (and $tlsConfig.certFile $tlsConfig.keyFile)) -}}
{{- fail (printf "the web configuration requires a client certificate: set %s.tlsConfig with cert and keySecret" $key) -}}
{{- end -}}
{{- if and $tlsConfig (not $web.tls) -}}
{{- fail (printf "%s.tlsConfig is set, but the exporter serves HTTP; set tls_server_config in web.config, or web.existingSecret.tls" $key) -}}
{{- end -}}
port: metrics
path: /metrics
# Some metrics have a label `service` (the AWS service). Without honorLabels, the operator's
# label of that name would rename it to `exported_service`.
honorLabels: {{ .honorLabels | default false }}
{{- with .interval }}
interval: {{ . }}
{{- end }}
{{- with .scrapeTimeout }}
scrapeTimeout: {{ . }}
{{- end }}
{{- if $web.tls }}
scheme: https
tlsConfig:
  {{- if $tlsConfig }}
  {{- toYaml $tlsConfig | nindent 2 }}
  {{- else }}
  {{- $secret := required (printf "the exporter serves HTTPS: set %s.tlsConfig, or web.tlsSecret with a ca.crt" $key) $root.Values.web.tlsSecret }}
  {{- $namespace := include "ssm-sync-exporter.namespace" $root }}
  {{- if ne (.namespace | default $namespace) $namespace }}
  {{- fail (printf "%s.namespace is %s, where the operator does not find web.tlsSecret: set %s.tlsConfig" $key .namespace $key) }}
  {{- end }}
  ca:
    secret:
      name: {{ $secret | quote }}
      key: ca.crt
  serverName: {{ printf "%s.%s.svc" (include "ssm-sync-exporter.fullname" $root) $namespace | quote }}
  {{- end }}
{{- end }}
{{- with .basicAuth }}
basicAuth:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- $relabelings := .relabelings | default list }}
{{- /* The job stays ssm-sync-exporter. */}}
{{- if and $root.Values.nameOverride (not .jobLabel) }}
{{- $relabelings = prepend $relabelings (dict "targetLabel" "job" "replacement" $root.Chart.Name) }}
{{- end }}
{{- with $relabelings }}
relabelings:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .metricRelabelings }}
metricRelabelings:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}
{{- end -}}
