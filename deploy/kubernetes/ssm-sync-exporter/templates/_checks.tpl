{{/* Fails for values that Kubernetes or the exporter would reject, or that cannot be combined. */}}
{{- define "ssm-sync-exporter.checkPod" -}}
{{- if and .Values.hostNetwork (gt (int .Values.shards) 1) -}}
{{- fail "hostNetwork: not available with several shards: a pod would have the host name of its node, and not know its shard" -}}
{{- end -}}
{{- if and (eq (.Values.dnsPolicy | default "") "None") (not (.Values.dnsConfig | default dict).nameservers) -}}
{{- fail "dnsPolicy: None requires dnsConfig.nameservers" -}}
{{- end -}}
{{- $setByChart := dict "--config.file" "config" "--web.config.file" "web" "--web.listen-address" "port" "--shard.total" "shards" "--shard.index" "shards" "--shard.from-hostname" "shards" "--log.level" "log.level" "--log.format" "log.format" -}}
{{- range .Values.extraArgs -}}
{{- $flag := splitList "=" . | first -}}
{{- if hasKey $setByChart $flag -}}
{{- fail (printf "extraArgs: the chart sets %s itself; set the value %s" $flag (get $setByChart $flag)) -}}
{{- end -}}
{{- end -}}
{{- $containers := list .Chart.Name -}}
{{- range $key := list "initContainers" "extraContainers" -}}
{{- range get $.Values $key | default list -}}
{{- if has .name $containers -}}
{{- fail (printf "%s: there are two containers named %s (the exporter is named ssm-sync-exporter)" $key .name) -}}
{{- end -}}
{{- $containers = append $containers .name -}}
{{- $container := .name -}}
{{- range .ports | default list -}}
{{- if or (eq (.name | default "") "metrics") (eq (int .containerPort) (int $.Values.port)) -}}
{{- fail (printf "%s: the port %s of %s is used by the exporter, whose port is named metrics and has the number %d" $key (.name | default (toString .containerPort)) $container (int $.Values.port)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $volumes := list "config" -}}
{{- range .Values.extraVolumes -}}
{{- if has .name $volumes -}}
{{- fail (printf "extraVolumes: there are two volumes named %s (the chart has one named config)" .name) -}}
{{- end -}}
{{- $volumes = append $volumes .name -}}
{{- end -}}
{{- $paths := list "/etc/ssm-sync-exporter" -}}
{{- range .Values.extraVolumeMounts -}}
{{- if not (has .name $volumes) -}}
{{- fail (printf "extraVolumeMounts: no volume is named %s; add it to extraVolumes" .name) -}}
{{- end -}}
{{- $path := .mountPath | trimSuffix "/" -}}
{{- if has $path $paths -}}
{{- fail (printf "extraVolumeMounts: there are two mounts at %s (the chart mounts /etc/ssm-sync-exporter)" $path) -}}
{{- end -}}
{{- $paths = append $paths $path -}}
{{- end -}}
{{- $kind := ternary "StatefulSet" "Deployment" (gt (int .Values.shards) 1) -}}
{{- with .Values.updateStrategy -}}
{{- $rollingUpdate := .rollingUpdate | default dict -}}
{{- $type := .type | default "RollingUpdate" -}}
{{- $allowed := ternary (list "RollingUpdate" "OnDelete") (list "RollingUpdate" "Recreate") (eq $kind "StatefulSet") -}}
{{- if not (has $type $allowed) -}}
{{- fail (printf "updateStrategy.type: a %s cannot have %s, only %s" $kind $type (join " or " $allowed)) -}}
{{- end -}}
{{- if and $rollingUpdate (ne $type "RollingUpdate") -}}
{{- fail (printf "updateStrategy.rollingUpdate: not allowed with the type %s" $type) -}}
{{- end -}}
{{- $foreign := ternary "maxSurge" "partition" (eq $kind "StatefulSet") -}}
{{- if hasKey $rollingUpdate $foreign -}}
{{- fail (printf "updateStrategy.rollingUpdate: a %s has no %s" $kind $foreign) -}}
{{- end -}}
{{- if and (eq $kind "Deployment") (has (toString $rollingUpdate.maxSurge) (list "0" "0%")) (has (toString $rollingUpdate.maxUnavailable) (list "0" "0%")) -}}
{{- fail "updateStrategy.rollingUpdate: maxSurge and maxUnavailable cannot both be 0" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* The address families of the Services. */}}
{{- define "ssm-sync-exporter.ipFamilies" -}}
{{- with .Values.service -}}
{{- if and (gt (len (.ipFamilies | default list)) 1) (not (hasSuffix "DualStack" (.ipFamilyPolicy | default ""))) -}}
{{- fail "service.ipFamilies has two families: set service.ipFamilyPolicy to PreferDualStack or RequireDualStack" -}}
{{- end -}}
{{- with .ipFamilyPolicy }}
ipFamilyPolicy: {{ . }}
{{- end }}
{{- with .ipFamilies }}
ipFamilies: [{{ join ", " . }}]
{{- end }}
{{- end -}}
{{- end -}}
