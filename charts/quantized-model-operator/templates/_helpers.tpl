{{/* Name of every object: the release's, with the chart's where the release does not say it. */}}
{{- define "qmodel.name" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 53 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 53 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "qmodel.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (include "qmodel.name" .) -}}
{{- end -}}

{{/* Labels that never change: the Deployment selects its pods by them. */}}
{{- define "qmodel.selector" -}}
app.kubernetes.io/name: qmodel
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/component: operator
{{- end -}}

{{/* Labels of the operator's pod: no value takes it away from its Deployment. */}}
{{- define "qmodel.podLabels" -}}
{{- $own := include "qmodel.selector" . | fromYaml -}}
{{- merge $own (.Values.podLabels | default dict) (.Values.commonLabels | default dict) | toYaml -}}
{{- end -}}

{{- define "qmodel.labels" -}}
{{- include "qmodel.labelsWith" (dict "root" . "labels" dict) -}}
{{- end -}}

{{/* Labels of an object that has some of its own; takes the root and these. */}}
{{- define "qmodel.labelsWith" -}}
{{- $own := include "qmodel.selector" .root | fromYaml -}}
{{- $_ := set $own "app.kubernetes.io/version" .root.Chart.AppVersion -}}
{{- $_ := set $own "app.kubernetes.io/managed-by" .root.Release.Service -}}
{{- merge $own (.labels | default dict) (.root.Values.commonLabels | default dict) | toYaml -}}
{{- end -}}

{{/* An image as one reference; takes the image and the chart's version. */}}
{{- define "qmodel.image" -}}
{{- $tag := .image.tag | default .version -}}
{{- printf "%s:%s" .image.repository $tag -}}
{{- end -}}

{{/*
What the operator may do where it looks after models. Nothing with Secrets. Services and claims are
never deleted by it: where the plugin OwnerReferencesPermissionEnforcement is on, as in OpenShift,
only who may delete an object may give it an owner, or take that away.
*/}}
{{- define "qmodel.rules" -}}
- apiGroups: [qmodel.dev]
  resources: [quantizedmodels]
  verbs: [list, watch]
- apiGroups: [qmodel.dev]
  resources: [quantizedmodels/status]
  verbs: [patch]
- apiGroups: [batch]
  resources: [jobs]
  verbs: [get, list, watch, create, delete]
- apiGroups: [apps]
  resources: [deployments]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [""]
  resources: [services, persistentvolumeclaims]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [discovery.k8s.io]
  resources: [endpointslices]
  verbs: [list, watch]
- apiGroups: [""]
  resources: [pods]
  verbs: [list, watch]
- apiGroups: [""]
  resources: [pods/log]
  verbs: [get]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create]
{{- end -}}
