{{- define "dstream.fullname" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name }}{{ else }}{{ .Release.Name }}-{{ .Chart.Name }}{{ end }}
{{- end }}

{{- define "dstream.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "dstream.labels" -}}
{{ include "dstream.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "dstream.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (ternary (include "dstream.fullname" .) "default" .Values.serviceAccount.create) }}
{{- end }}

{{- define "dstream.configMap" -}}
{{- .Values.config.existingConfigMap | default (printf "%s-config" (include "dstream.fullname" .)) }}
{{- end }}

{{- define "dstream.image" -}}
{{- with .Values.image -}}
{{ .repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ .tag | default $.Chart.AppVersion }}{{ end }}
{{- end }}
{{- end }}

{{- /* The settings of a task: its own, over those of all. Called with [root, name]. `merge` would ignore a 0. */}}
{{- define "dstream.task" -}}
{{- $root := first . }}
{{- $own := get $root.Values.tasks (last .) | default dict }}
{{- $task := dict "task" (last .) | merge (deepCopy $own) }}
{{- range $key := list "replicas" "env" "secretEnv" "envFrom" "resources" "nodeSelector" "tolerations" }}
  {{- $common := get $root.Values $key }}
  {{- if not (hasKey $own $key) }}
    {{- $_ := set $task $key $common }}
  {{- else if kindIs "map" $common }}
    {{- $_ := set $task $key (merge (get $task $key) (deepCopy $common)) }}
  {{- end }}
{{- end }}
{{- toJson $task }}
{{- end }}
