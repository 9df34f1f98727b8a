{{/* What the notes call not set up, a line or more each. */}}
{{- define "ssm-sync-exporter.missing" -}}
{{- $root := index . 0 -}}
{{- $name := index . 1 -}}
{{- $kind := index . 2 -}}
{{- $web := index . 3 -}}
{{- if not $root.Values.serviceAccount.roleArn }}
- AWS credentials, unless they come by other ways. With EKS Pod Identity:
    aws eks create-pod-identity-association --cluster-name CLUSTER \
      --namespace {{ $root.Release.Namespace }} --service-account {{ include "ssm-sync-exporter.serviceAccountName" $root }} \
      --role-arn arn:aws:iam::ACCOUNT:role/ssm-sync-exporter
  and then `kubectl --namespace {{ $root.Release.Namespace }} rollout restart {{ $kind }}/{{ $name }}`;
  roles in other accounts need ExporterSessionTags=true (deploy/aws/README.md). If STS says
  PackedPolicyTooLarge: aws.session_policy: false in config, or the other way, which is
  IAM roles for service accounts: serviceAccount.roleArn.
{{- end }}
{{- $regions := or $root.Values.configSecret $root.Values.config.regions $root.Values.extraEnvFrom }}
{{- range $root.Values.extraEnv }}
{{- if has .name (list "AWS_REGION" "AWS_DEFAULT_REGION" "SSM_SYNC_EXPORTER_REGIONS") }}
{{- $regions = true }}
{{- end }}
{{- end }}
{{- if not $regions }}
- A region. Where EKS gives pods none, the exporter ends with "no region": regions in
  config, or AWS_REGION in extraEnv.
{{- end }}
{{- if not (or $root.Values.config $root.Values.configSecret) }}
- More than the credentials' own account and region: config.
{{- end }}
{{- if not $root.Values.serviceMonitor.enabled }}
- Scraping: serviceMonitor.enabled, or without the Prometheus operator a job of the name
  ssm-sync-exporter for {{ $name }}.{{ $root.Release.Namespace }}.svc, port 10144.
{{- end }}
{{- if not $root.Values.prometheusRule.enabled }}
- Alerts: prometheusRule.enabled.
{{- end }}
{{- if not $root.Values.dashboards.enabled }}
- Dashboards: dashboards.enabled.
{{- end }}
{{- if not (or $web.secret $root.Values.networkPolicy.enabled) }}
- TLS and passwords, so whoever reaches a pod sees account ids and messages of AWS: web,
  or networkPolicy.
{{- end }}
{{- end -}}
