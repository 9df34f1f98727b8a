{{/* Whether the status page is exposed, as "true" or "". Fails if it cannot be. */}}
{{- define "ssm-sync-exporter.exposed" -}}
{{- range $key := list "ingress" "httpRoute" -}}
{{- if (get $.Values $key).enabled -}}
{{- if gt (int $.Values.shards) 1 -}}
{{- fail (printf "%s.enabled: with several shards, each request would show another part of the targets; use one shard, or extraObjects with a Service for each pod" $key) -}}
{{- end -}}
{{- if (include "ssm-sync-exporter.web" $ | fromJson).clientCertificates -}}
{{- fail (printf "%s.enabled: the web configuration requires a client certificate, which a controller does not have; use client_auth_type: VerifyClientCertIfGiven with passwords" $key) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if or .Values.ingress.enabled .Values.httpRoute.enabled }}true{{ end -}}
{{- end -}}

{{/* The paths that are exposed, as a JSON list: the two pages, their assets, the probes that they link
     to, and page.extraPaths. */}}
{{- define "ssm-sync-exporter.pagePaths" -}}
{{- $extra := .Values.page.extraPaths | default list -}}
{{- if has "/-/reload" $extra -}}
{{- fail "page.extraPaths: /-/reload changes the state of the exporter and must not be exposed" -}}
{{- end -}}
{{- concat (list "/" "/sync" "/-/status.css" "/-/status.js" "/-/status.svg" "/-/healthy" "/-/ready") $extra | uniq | toJson -}}
{{- end -}}

{{- define "ssm-sync-exporter.pageService" -}}
{{ include "ssm-sync-exporter.fullname" . }}-page
{{- end -}}
