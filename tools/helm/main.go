// Checks the output of `helm template` as an API server would: decodes each document strictly with the types of
// Kubernetes and of the Prometheus operator, and applies the Pod Security Standard "restricted".
//
// Reads YAML from stdin. Prints the documents, as one JSON object per line with the defaults of the types; exits with 1
// and the reasons on stderr if one is refused. A kind that the chart does not use is refused as well.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
)

func main() {
	refused, err := check(os.Stdin, os.Stdout)
	for _, each := range refused {
		fmt.Fprintln(os.Stderr, each)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	if len(refused) > 0 || err != nil {
		os.Exit(1)
	}
}

func check(documents io.Reader, accepted io.Writer) (refused []error, err error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		appsv1.AddToScheme, corev1.AddToScheme, networkingv1.AddToScheme, policyv1.AddToScheme, monitoringv1.AddToScheme,
	} {
		if err := add(scheme); err != nil {
			return nil, err
		}
	}
	decoder := serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDeserializer()
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		return nil, err
	}
	reader := yaml.NewYAMLReader(bufio.NewReader(documents))
	for {
		document, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return refused, nil
		}
		if err != nil {
			return refused, err
		}
		var content any
		if err := yaml.Unmarshal(document, &content); err == nil && content == nil {
			continue // only comments
		}
		object, kind, err := decoder.Decode(document, nil, nil)
		if err != nil {
			refused = append(refused, err)
			continue
		}
		if deployment, ok := object.(*appsv1.Deployment); ok {
			level := api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}
			pod := deployment.Spec.Template
			result := policy.AggregateCheckResults(evaluator.EvaluatePod(level, &pod.ObjectMeta, &pod.Spec))
			if !result.Allowed {
				refused = append(refused, fmt.Errorf("%s %s: %s", kind.Kind, deployment.Name, result.ForbiddenDetail()))
			}
		}
		if err := json.NewEncoder(accepted).Encode(object); err != nil {
			return refused, err
		}
	}
}
