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
      --namespace {{ $root.Release.Namespace }} --service-account {{ include "ssm-sync-exporter.serviceAccountName" $root }} \
      --role-arn arn:aws:iam::ACCOUNT:role/ssm-sync-exporter
  and then `kubectl --namespace {{ $root.Release.Namespace }} rollout restart {{ $kind }}/{{ $name }}`;
  roles in other accounts need ExporterSessionTags=true (deploy/aws/README.md). If STS answers
  PackedPolicyTooLarge, set aws.session_policy: false in config.
  To use IAM roles for service accounts instead, set serviceAccount.roleArn.
{{- end }}
{{- $regions := or $root.Values.configSecret $root.Values.config.regions $root.Values.extraEnvFrom }}
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
{{- if not $root.Values.serviceMonitor.enabled }}
- Scraping: set serviceMonitor.enabled. Without the Prometheus operator, add a scrape job
  named ssm-sync-exporter for {{ $name }}.{{ $root.Release.Namespace }}.svc, port 10144.
{{- end }}
{{- if not $root.Values.prometheusRule.enabled }}
- Alerts: set prometheusRule.enabled.
{{- end }}
{{- if not $root.Values.dashboards.enabled }}
- Dashboards: set dashboards.enabled.
{{- end }}
{{- if not (or $web.secret $root.Values.networkPolicy.enabled) }}
- TLS and passwords. Anyone who can reach a pod can read account ids and error messages of
  AWS. Set web, or networkPolicy.enabled.
{{- end }}
{{- end -}}
