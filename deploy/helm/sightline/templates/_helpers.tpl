{{- define "sightline.labels" -}}
app.kubernetes.io/name: sightline
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "sightline.selector" -}}
app.kubernetes.io/name: sightline
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "sightline.name" -}}
{{- if contains "sightline" .Release.Name }}{{ .Release.Name | trunc 40 | trimSuffix "-" }}{{ else }}{{ printf "%s-sightline" .Release.Name | trunc 40 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "sightline.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end }}

{{/* What every agent of the chart listens on; a pod's ports are not published beyond the NetworkPolicy. */}}
{{- define "sightline.listen" -}}
data_dir: /var/lib/sightline
web: {listen: '0.0.0.0:9102'}
metrics: {listen_udp: '0.0.0.0:9125', listen_tcp: '0.0.0.0:9125'}
logs:
  environment: {{ .Values.environment | quote }}
  tcp: {listen: '0.0.0.0:5000'}
  udp: {listen: '0.0.0.0:5000'}
  http: {listen: '0.0.0.0:5001'}
otlp:
  http: {listen: '0.0.0.0:4318'}
  grpc: {listen: '0.0.0.0:4317'}
spans: {zipkin: {listen: '0.0.0.0:9411'}}
{{- end }}

{{/* The back ends themselves. */}}
{{- define "sightline.backends" -}}
{{- with .Values.elasticsearch }}
{{- if .urls }}
elasticsearch:
  urls: {{ toJson .urls }}
  {{- if .existingSecret }}
  auth: {username: {{ .username | quote }}, password_file: /secrets/elasticsearch/password}
  {{- end }}
{{- end }}
{{- end }}
{{- if .Values.zipkin.urls }}
zipkin: {urls: {{ toJson .Values.zipkin.urls }}}
{{- end }}
{{- end }}

{{/* An agent on a node that delivers to the gateway: log records as Elasticsearch would take them, spans as Zipkin would. */}}
{{- define "sightline.togateway" -}}
elasticsearch: {urls: ['http://{{ include "sightline.name" . }}-gateway:5001']}
zipkin: {urls: ['http://{{ include "sightline.name" . }}-gateway:9411']}
{{- end }}

{{- define "sightline.agentconfig" -}}
{{- $own := include "sightline.listen" . | fromYaml -}}
{{- $to := ternary (include "sightline.togateway" .) (include "sightline.backends" .) .Values.gateway.enabled | fromYaml -}}
{{ toYaml (mergeOverwrite $own (default dict $to) (deepCopy .Values.config)) }}
{{- end }}

{{- define "sightline.gatewayconfig" -}}
{{- $own := include "sightline.listen" . | fromYaml -}}
{{- $to := include "sightline.backends" . | fromYaml -}}
{{ toYaml (mergeOverwrite $own (default dict $to) (deepCopy .Values.config)) }}
{{- end }}

{{/* It receives nothing and keeps nothing but the versions that it knows. */}}
{{- define "sightline.announcerconfig" -}}
data_dir: /var/lib/sightline
web: {listen: '0.0.0.0:9102'}
metrics: {listen_udp: 'off', listen_tcp: 'off'}
logs: {tcp: {listen: 'off'}, udp: {listen: 'off'}, http: {listen: 'off'}}
otlp: {http: {listen: 'off'}, grpc: {listen: 'off'}}
spans: {zipkin: {listen: 'off'}}
change_events:
  routing_key_file: /secrets/pagerduty/routing-key
  prometheus: {{ required "changeEvents.prometheus: the address of the Prometheus that scrapes the agents" .Values.changeEvents.prometheus | quote }}
  url: {{ .Values.changeEvents.url | quote }}
  {{- with .Values.changeEvents.link }}
  link: {{ . | quote }}
  {{- end }}
{{- end }}

{{- define "sightline.podsecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "sightline.security" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities: {drop: [ALL]}
{{- end }}

{{- define "sightline.probes" -}}
readinessProbe:
  httpGet: {path: /-/ready, port: http}
  periodSeconds: 10
livenessProbe:
  httpGet: {path: /-/healthy, port: http}
  periodSeconds: 20
  failureThreshold: 6
{{- end }}

{{/* Mounts and volumes of the back ends' credentials, for whoever delivers to them. */}}
{{- define "sightline.secretmounts" -}}
{{- if .Values.elasticsearch.existingSecret }}
- {name: elasticsearch, mountPath: /secrets/elasticsearch, readOnly: true}
{{- end }}
{{- end }}
{{- define "sightline.secretvolumes" -}}
{{- with .Values.elasticsearch.existingSecret }}
- name: elasticsearch
  secret: {secretName: {{ . }}, defaultMode: 288}
{{- end }}
{{- end }}

{{- define "sightline.ports" -}}
{{- $host := .host -}}
{{- range $name, $port := dict "statsd" 9125 "logs" 5000 "otlp-grpc" 4317 "otlp-http" 4318 "zipkin" 9411 }}
- {name: {{ $name }}, containerPort: {{ $port }}, protocol: TCP{{ if $host }}, hostPort: {{ $port }}{{ end }}}
{{- if has $name (list "statsd" "logs") }}
- {name: {{ $name }}-udp, containerPort: {{ $port }}, protocol: UDP{{ if $host }}, hostPort: {{ $port }}{{ end }}}
{{- end }}
{{- end }}
- {name: bulk, containerPort: 5001, protocol: TCP}
- {name: http, containerPort: 9102, protocol: TCP}
{{- end }}
