{{/* A StatefulSet's name, a hyphen and ten letters make a label, of 63 at most. */}}
{{- define "ssm-sync-exporter.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride -}}
{{- else if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "ssm-sync-exporter.selectorLabels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{- define "ssm-sync-exporter.labels" -}}
{{ include "ssm-sync-exporter.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name (.Chart.Version | replace "+" "_") }}
{{- end -}}

{{/* Labels of the user beside ours, which others rely on and which stay as they are. */}}
{{- define "ssm-sync-exporter.labelsBeside" -}}
{{- $ours := include (index . 1) (index . 0) | fromYaml -}}
{{- toYaml (mergeOverwrite (deepCopy (index . 2 | default dict)) $ours) -}}
{{- end -}}

{{/* What every object begins with: what it is called, with a suffix, and its labels. */}}
{{- define "ssm-sync-exporter.metadata" -}}
{{- $root := index . 0 -}}
{{- $suffix := index . 1 -}}
{{- $more := index . 2 -}}
name: {{ printf "%s%s" (include "ssm-sync-exporter.fullname" $root) $suffix | quote }}
namespace: {{ $root.Release.Namespace | quote }}
labels:
  {{- include "ssm-sync-exporter.labelsBeside" (list $root "ssm-sync-exporter.labels" $more.labels) | nindent 2 }}
{{- with $more.annotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "ssm-sync-exporter.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (include "ssm-sync-exporter.fullname" .) -}}
{{- else -}}
{{- .Values.serviceAccount.name | default "default" -}}
{{- end -}}
{{- end -}}

{{- define "ssm-sync-exporter.image" -}}
{{- with .Values.image -}}
{{- $repository := required "image.repository is not set: no image is published, so build one (deploy/container) and say where it is, as in `--set image.repository=registry.example/ssm-sync-exporter`" .repository -}}
{{- if .digest -}}
{{- $repository }}@{{ .digest -}}
{{- else -}}
{{- $repository }}:{{ .tag | default $.Chart.AppVersion -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "ssm-sync-exporter.config" -}}
{{- if .Values.config -}}
{{ toYaml .Values.config }}
{{- else -}}
# The account of the credentials, in their default region.
{}
{{- end -}}
{{- end -}}

{{/* What is said where a link has been left out, or is a text that holds its own path. */}}
{{- define "ssm-sync-exporter.notThere" -}}
{{ . }}: there is nothing of use in the chart. Links to deploy/prometheus and deploy/grafana have not been followed; take the chart as `helm package` makes it of the whole repository
{{- end -}}
