{{/* The name of the deployment, derived from the name of the release as in most charts. */}}
{{- define "silo.name" -}}
{{- if contains "silo" .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-silo" .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* The labels that select the pods of this release, or of one component if `component` is given. */}}
{{- define "silo.selector" -}}
app.kubernetes.io/name: silo
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- with .component }}
app.kubernetes.io/component: {{ . }}
{{- end }}
{{- end -}}

{{- define "silo.labels" -}}
{{ include "silo.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end -}}

{{/* The Secret of a component's certificate. */}}
{{- define "silo.certificate" -}}
{{ include "silo.name" .root }}-{{ .component }}-tls
{{- end -}}

{{/* The volume with a component's certificate and the authorities that the component trusts. */}}
{{- define "silo.tls" -}}
- name: tls
  {{- with .root.Values.certificates.caSecret }}
  projected:
    defaultMode: 0440
    sources:
      - secret:
          name: {{ include "silo.certificate" $ }}
          items: [{ key: tls.crt, path: tls.crt }, { key: tls.key, path: tls.key }]
      - secret: { name: {{ . }}, items: [{ key: ca.crt, path: ca.crt }] }
  {{- else }}
  secret: { secretName: {{ include "silo.certificate" . }}, defaultMode: 0440 }
  {{- end }}
{{- end -}}

{{/* The components, each with its service. */}}
{{- define "silo.components" -}}
org: org
project: project
token: token
billing: billing
{{- if .Values.edge.enabled }}
edge: project
{{- end }}
{{- end -}}

{{/* The addresses of project in the other regions, for processes that call it. */}}
{{- define "silo.regions" -}}
{{- if .Values.regionAddresses }}
{{- $regions := list }}
{{- range $region, $address := .Values.regionAddresses }}
{{- $regions = append $regions (printf "%s=%s" $region $address) }}
{{- end }}
- { name: REGION_ADDRESSES, value: {{ join "," $regions | quote }} }
{{- if .Values.regionsCaSecret }}
- { name: REGION_TLS_CA, value: /etc/silo/regions/ca.crt }
{{- end }}
{{- end }}
{{- end -}}

{{/* The distinct ports of a list of hosts. */}}
{{- define "silo.ports" -}}
{{- $ports := list -}}
{{- range splitList "," . }}{{ $ports = append $ports (splitList ":" . | last) }}{{ end -}}
{{- range uniq $ports }}
- { protocol: TCP, port: {{ . }} }
{{- end }}
{{- end -}}
