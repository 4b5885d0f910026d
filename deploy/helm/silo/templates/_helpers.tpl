{{/* The name of the deployment: of the release, as most charts have it. */}}
{{- define "silo.name" -}}
{{- if contains "silo" .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-silo" .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* What distinguishes the pods of this release: of one component where `component` is given. */}}
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

{{/* The components, each with the service that it is a process of. */}}
{{- define "silo.components" -}}
org: org
project: project
token: token
billing: billing
{{- if .Values.edge.enabled }}
edge: project
{{- end }}
{{- end -}}

{{/* The port of each host of a list, without repetition. */}}
{{- define "silo.ports" -}}
{{- $ports := list -}}
{{- range splitList "," . }}{{ $ports = append $ports (splitList ":" . | last) }}{{ end -}}
{{- range uniq $ports }}
- { protocol: TCP, port: {{ . }} }
{{- end }}
{{- end -}}
