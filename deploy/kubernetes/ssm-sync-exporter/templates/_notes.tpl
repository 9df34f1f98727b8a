{{/* Features that are not configured yet, as a list for NOTES.txt. Arguments: the root context, the
     full name, the kind of the workload, and the decoded output of ssm-sync-exporter.web. */}}
{{- define "ssm-sync-exporter.notConfigured" -}}
{{- $root := index . 0 -}}
{{- $name := index . 1 -}}
{{- $kind := index . 2 -}}
{{- $web := index . 3 -}}
{{- if not $root.Values.serviceAccount.roleArn }}
- AWS credentials, unless the pods get them in another way. With EKS Pod Identity, run
    aws eks create-pod-identity-association --cluster-name CLUSTER \
      --namespace {{ include "ssm-sync-exporter.namespace" $root }} --service-account {{ include "ssm-sync-exporter.serviceAccountName" $root }} \
      --role-arn arn:aws:iam::ACCOUNT:role/ssm-sync-exporter
  and then `kubectl --namespace {{ include "ssm-sync-exporter.namespace" $root }} rollout restart {{ $kind }}/{{ $name }}`;
  roles in other accounts need ExporterSessionTags=true (deploy/aws/README.md). If STS answers
  PackedPolicyTooLarge, set aws.session_policy: false in config.
  To use IAM roles for service accounts instead, set serviceAccount.roleArn.
{{- end }}
{{- $regions := or $root.Values.configSecret ($root.Values.config | default dict).regions $root.Values.extraEnvFrom }}
{{- range $root.Values.extraEnv }}
{{- if has .name (list "AWS_REGION" "AWS_DEFAULT_REGION" "SSM_SYNC_EXPORTER_REGIONS") }}
{{- $regions = true }}
{{- end }}
{{- end }}
{{- if not $regions }}
- A region. The exporter exits with "no region is set" unless EKS sets AWS_REGION in the
  pod. Set regions in config, or AWS_REGION in extraEnv.
{{- end }}
{{- if not (or $root.Values.config $root.Values.configSecret) }}
- Accounts and regions other than those of the credentials: set config.
{{- end }}
{{- if not (or $root.Values.serviceMonitor.enabled $root.Values.podMonitor.enabled) }}
- Scraping: set serviceMonitor.enabled or podMonitor.enabled. Without the Prometheus
  operator, add a scrape job named ssm-sync-exporter for {{ $name }}.{{ include "ssm-sync-exporter.namespace" $root }}.svc, port {{ int $root.Values.port }}.
{{- end }}
{{- if not $root.Values.prometheusRule.enabled }}
- Alerts: set prometheusRule.enabled.
{{- end }}
{{- if not $root.Values.dashboards.enabled }}
- Dashboards: set dashboards.enabled.
{{- end }}
{{- if not (or $web.secret (and $root.Values.networkPolicy.enabled (not $root.Values.hostNetwork))) }}
- TLS and passwords. Anyone who can reach a pod can read account ids and error messages of
  AWS. Set web, or networkPolicy.enabled.
{{- end }}
{{- end -}}

{{/* What may surprise with these values, as a list for NOTES.txt. Arguments: as above. */}}
{{- define "ssm-sync-exporter.warnings" -}}
{{- $root := index . 0 -}}
{{- $name := index . 1 -}}
{{- $web := index . 3 -}}
{{- if include "ssm-sync-exporter.exposed" $root }}
{{- if not (or $web.users $root.Values.web.existingSecret.name) }}
- The page shows account ids and error messages of AWS, and the exporter asks for no password.
  Set web.config.basic_auth_users, or let the controller authenticate.
{{- end }}
{{- if and $root.Values.ingress.enabled (not $root.Values.ingress.tls) }}
- ingress.tls is not set. Unless the controller has a certificate of its own, the page and its
  password are sent in clear text.
{{- end }}
{{- if $web.tls }}
- The exporter serves HTTPS. Tell the controller so, such as by the annotation
  nginx.ingress.kubernetes.io/backend-protocol: HTTPS, or by a BackendTLSPolicy for the Service
  {{ include "ssm-sync-exporter.pageService" $root }} in extraObjects.
{{- end }}
{{- end }}
{{- if $root.Values.hostNetwork }}
- With hostNetwork, everyone who can reach the node can reach port {{ int $root.Values.port }}, and the namespace must
  not enforce the Baseline or Restricted profile of the Pod Security Standards.
{{- if $root.Values.networkPolicy.enabled }}
- networkPolicy.enabled has no effect: a NetworkPolicy does not apply to pods with hostNetwork.
{{- end }}
{{- end }}
{{- if and $root.Values.alertmanagerConfig.enabled (not $root.Values.prometheusRule.enabled) }}
- alertmanagerConfig only gets alerts whose label `namespace` is its own. Set prometheusRule.enabled,
  which adds the label, or alertmanagerConfigMatcherStrategy: {type: None} on the Alertmanager.
{{- end }}
{{- range $key := list "serviceMonitor" "podMonitor" }}
{{- with get $root.Values $key }}
{{- if and .enabled (not .honorLabels) }}
- Without {{ $key }}.honorLabels, the label `service` of the exporter becomes `exported_service`, and
  queries of the dashboards that use it find nothing.
{{- end }}
{{- end }}
{{- end }}
{{- end -}}
