{{- define "ssm-sync-exporter.name" -}}
{{- .Values.nameOverride | default .Chart.Name -}}
{{- end -}}

{{- define "ssm-sync-exporter.namespace" -}}
{{- .Values.namespaceOverride | default .Release.Namespace -}}
{{- end -}}

{{/* At most 50 characters: a StatefulSet appends a hyphen and a hash of ten characters to make a
     label value, which may have 63. */}}
{{- define "ssm-sync-exporter.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride -}}
{{- else if contains (include "ssm-sync-exporter.name" .) .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "ssm-sync-exporter.name" .) | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "ssm-sync-exporter.selectorLabels" -}}
app.kubernetes.io/name: {{ include "ssm-sync-exporter.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{- define "ssm-sync-exporter.labels" -}}
{{ include "ssm-sync-exporter.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name (.Chart.Version | replace "+" "_") }}
{{- end -}}

{{/* commonLabels, the labels of the object, and the chart's labels. The later ones win: selectors rely
     on the chart's. Arguments: the root context, the template of the chart's labels, and the labels of
     the object. */}}
{{- define "ssm-sync-exporter.mergedLabels" -}}
{{- $own := include (index . 1) (index . 0) | fromYaml -}}
{{- toYaml (mergeOverwrite dict ((index . 0).Values.commonLabels | default dict) (index . 2 | default dict) $own) -}}
{{- end -}}

{{/* Metadata of every object. Arguments: the root context, a suffix of the name, and a dict with
     optional labels, annotations and namespace. */}}
{{- define "ssm-sync-exporter.metadata" -}}
{{- $root := index . 0 -}}
{{- $suffix := index . 1 -}}
{{- $more := index . 2 -}}
name: {{ printf "%s%s" (include "ssm-sync-exporter.fullname" $root) $suffix | quote }}
namespace: {{ $more.namespace | default (include "ssm-sync-exporter.namespace" $root) | quote }}
labels:
  {{- include "ssm-sync-exporter.mergedLabels" (list $root "ssm-sync-exporter.labels" $more.labels) | nindent 2 }}
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
{{- $repository := required "image.repository is not set: no image is published yet; build one (see deploy/container) and set its location, such as `--set image.repository=registry.example/ssm-sync-exporter`" .repository -}}
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
# Empty: polls the account of the ambient credentials in their default region.
{}
{{- end -}}
{{- end -}}

{{/* Error message for a symbolic link that is missing, or is a text file with the link's path. */}}
{{- define "ssm-sync-exporter.linkNotFollowed" -}}
{{ . }} is missing from the chart or not usable: symbolic links to deploy/prometheus and deploy/grafana were not followed; use an archive built by `helm package` in a checkout of the whole repository
{{- end -}}
