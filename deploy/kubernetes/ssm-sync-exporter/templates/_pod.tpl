{{/* The pod template of the Deployment and the StatefulSet. The StatefulSet adds the shard flags. */}}
{{- define "ssm-sync-exporter.podTemplate" -}}
{{- $web := include "ssm-sync-exporter.web" . | fromJson -}}
{{- $sharded := gt (int .Values.shards) 1 -}}
{{- include "ssm-sync-exporter.checkPod" . -}}
metadata:
  labels:
    {{- include "ssm-sync-exporter.mergedLabels" (list . "ssm-sync-exporter.selectorLabels" .Values.podLabels) | nindent 4 }}
  {{- $annotations := deepCopy (.Values.podAnnotations | default dict) }}
  {{- if .Values.extraContainers }}
  {{- $annotations = merge $annotations (dict "kubectl.kubernetes.io/default-container" .Chart.Name) }}
  {{- end }}
  {{- if not .Values.configSecret }}
  {{- /* A changed configuration replaces the pods instead of reloading it in place. The old pod
         keeps running while the new one rejects the configuration or has not collected every
         target yet, and `helm upgrade --wait` and `helm rollback` work as expected. */}}
  {{- $_ := set $annotations "checksum/config" (include "ssm-sync-exporter.config" . | sha256sum) }}
  {{- end }}
  {{- with $annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  serviceAccountName: {{ include "ssm-sync-exporter.serviceAccountName" . | quote }}
  # The exporter does not call the Kubernetes API. EKS mounts the tokens for AWS itself.
  automountServiceAccountToken: false
  # The exporter needs no variables of other Services.
  enableServiceLinks: false
  terminationGracePeriodSeconds: {{ int .Values.terminationGracePeriodSeconds }}
  {{- if .Values.hostNetwork }}
  hostNetwork: true
  {{- end }}
  {{- with .Values.dnsPolicy | default (ternary "ClusterFirstWithHostNet" "" (.Values.hostNetwork | default false)) }}
  dnsPolicy: {{ . }}
  {{- end }}
  {{- with .Values.dnsConfig }}
  dnsConfig:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.hostAliases }}
  hostAliases:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.priorityClassName }}
  priorityClassName: {{ . | quote }}
  {{- end }}
  {{- with .Values.podSecurityContext }}
  securityContext:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.initContainers }}
  initContainers:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  containers:
    - name: ssm-sync-exporter
      image: {{ include "ssm-sync-exporter.image" . | quote }}
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      command: [/usr/bin/ssm-sync-exporter]
      args:
        - --config.file=/etc/ssm-sync-exporter/config.yaml
        {{- if $web.secret }}
        - --web.config.file=/etc/ssm-sync-exporter/web.yaml
        {{- end }}
        {{- if $sharded }}
        - --shard.total={{ int .Values.shards }}
        - --shard.from-hostname
        {{- end }}
        {{- if ne (int .Values.port) 10144 }}
        - --web.listen-address=:{{ int .Values.port }}
        {{- end }}
        - --log.level={{ .Values.log.level }}
        - --log.format={{ .Values.log.format }}
        {{- range .Values.extraArgs }}
        - {{ . | quote }}
        {{- end }}
      {{- with .Values.extraEnv }}
      env:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with .Values.extraEnvFrom }}
      envFrom:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      ports:
        - name: metrics
          containerPort: {{ int .Values.port }}
      startupProbe:
        {{- include "ssm-sync-exporter.probe" (list $web "/-/healthy") | nindent 8 }}
        {{- toYaml .Values.startupProbe | nindent 8 }}
      livenessProbe:
        {{- include "ssm-sync-exporter.probe" (list $web "/-/healthy") | nindent 8 }}
        {{- toYaml .Values.livenessProbe | nindent 8 }}
      # Ready once every target has been collected, so that a rollout stops the old pod only
      # when the new one has the same data. Prometheus also scrapes pods that are not ready.
      readinessProbe:
        {{- include "ssm-sync-exporter.probe" (list $web "/-/ready") | nindent 8 }}
        {{- toYaml .Values.readinessProbe | nindent 8 }}
      {{- with .Values.lifecycle }}
      lifecycle:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with .Values.resources }}
      resources:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with .Values.securityContext }}
      securityContext:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      volumeMounts:
        # Mounts the directory: files mounted by subPath are never updated.
        - name: config
          mountPath: /etc/ssm-sync-exporter
          readOnly: true
        {{- with .Values.extraVolumeMounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
    {{- with .Values.extraContainers }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  volumes:
    - name: config
      projected:
        # 0440 in decimal; the files belong to the group fsGroup.
        defaultMode: 288
        sources:
          {{- if .Values.configSecret }}
          - secret:
              name: {{ .Values.configSecret | quote }}
              items: [{ key: config.yaml, path: config.yaml }]
          {{- else }}
          - configMap:
              name: {{ include "ssm-sync-exporter.fullname" . | quote }}
              items: [{ key: config.yaml, path: config.yaml }]
          {{- end }}
          {{- with $web.secret }}
          - secret:
              name: {{ . | quote }}
              items: [{ key: web.yaml, path: web.yaml }]
          {{- end }}
          {{- with .Values.web.tlsSecret }}
          - secret:
              name: {{ . | quote }}
              items: [{ key: tls.crt, path: tls/tls.crt }, { key: tls.key, path: tls/tls.key }]
          # Not every issuer provides ca.crt.
          - secret:
              name: {{ . | quote }}
              items: [{ key: ca.crt, path: tls/ca.crt }]
              optional: true
          {{- end }}
    {{- with .Values.extraVolumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with .Values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- if .Values.topologySpreadConstraints }}
  topologySpreadConstraints:
    {{- $constraints := list }}
    {{- range .Values.topologySpreadConstraints }}
    {{- $selector := .labelSelector | default (dict "matchLabels" (include "ssm-sync-exporter.selectorLabels" $ | fromYaml)) }}
    {{- $constraints = append $constraints (merge (dict "labelSelector" $selector) .) }}
    {{- end }}
    {{- toYaml $constraints | nindent 4 }}
  {{- else if $sharded }}
  topologySpreadConstraints:
    - topologyKey: kubernetes.io/hostname
      maxSkew: 1
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels:
          {{- include "ssm-sync-exporter.selectorLabels" . | nindent 10 }}
  {{- end }}
{{- end -}}

{{/* A probe of an HTTP path. The kubelet does not verify certificates and has no client
     certificate: if one is required, the probe only opens a connection. */}}
{{- define "ssm-sync-exporter.probe" -}}
{{- $web := index . 0 -}}
{{- if $web.clientCertificates -}}
tcpSocket:
  port: metrics
{{- else -}}
httpGet:
  path: {{ index . 1 }}
  port: metrics
  {{- if $web.tls }}
  scheme: HTTPS
  {{- end }}
{{- end -}}
{{- end -}}
