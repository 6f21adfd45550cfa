// Command hcl-reference evaluates the snippets of tests/unit/config/reference with hashicorp/hcl v2 and go-cty, and
// prints the results as JSON. `make hcl-reference` records them as the expected values of DStream's own evaluator.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"runtime/debug"
	"sort"
	"strings"

	"github.com/BurntSushi/toml"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/ext/typeexpr"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// The packages whose behavior is recorded.
var referencePackages = []string{
	"github.com/hashicorp/hcl/v2", "github.com/zclconf/go-cty", "github.com/zclconf/go-cty-yaml",
}

// result is what a snippet evaluates to: a type and a value, or the summary of the first error.
type result struct {
	Type  string          `json:"type,omitempty"`
	Value json.RawMessage `json:"value,omitempty"`
	Error string          `json:"error,omitempty"`
}

// record is the recorded document: what was evaluated, by which versions, and which functions are only a reading of
// Terraform's documentation.
type record struct {
	Versions   map[string]string
	Documented []string
	Snippets   map[string]map[string]result
}

func main() {
	if len(os.Args) != 2 {
		fatal("usage: hcl-reference SNIPPETS.toml > EXPECTED.json")
	}
	document := map[string]any{}
	if _, err := toml.DecodeFile(os.Args[1], &document); err != nil {
		fatal(err)
	}
	context := &hcl.EvalContext{Functions: functions(filepath.Dir(os.Args[1]))}
	context.Variables = variables(document["variables"].(string), context)
	delete(document, "variables")

	out := record{versions(), documented(), map[string]map[string]result{}}
	for name, group := range document {
		fields := group.(map[string]any)
		evaluate := expression
		if fields["kind"] == "file" {
			evaluate = file
		}
		results := map[string]result{}
		for _, each := range fields["snippets"].([]any) {
			text := textOf(each)
			if _, ok := results[text]; ok {
				fatal(fmt.Sprintf("%s: duplicate snippet %s", name, text))
			}
			results[text] = evaluate(text, context)
		}
		out.Snippets[name] = results
	}
	os.Stdout.WriteString(out.lines())
}

// lines returns the record as JSON with one line per snippet, so that a diff shows what changed.
func (r record) lines() string {
	groups := []string{}
	for _, name := range sorted(r.Snippets) {
		lines := []string{}
		for _, text := range sorted(r.Snippets[name]) {
			lines = append(lines, fmt.Sprintf("%s: %s", compact(text), compact(r.Snippets[name][text])))
		}
		groups = append(groups, fmt.Sprintf("%s: {\n%s\n}", compact(name), strings.Join(lines, ",\n")))
	}
	return fmt.Sprintf(
		"{\n\"versions\": %s,\n\"functions_written_after_documentation\": %s,\n\"snippets\": {\n%s\n}\n}\n",
		compact(r.Versions), compact(r.Documented), strings.Join(groups, ",\n"),
	)
}

func sorted[V any](table map[string]V) []string {
	names := make([]string, 0, len(table))
	for name := range table {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

func compact(value any) string {
	out := &bytes.Buffer{}
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		fatal(err)
	}
	return strings.TrimSuffix(out.String(), "\n")
}

// textOf returns the text of a snippet: a string, or a table with the text and a mark.
func textOf(snippet any) string {
	if fields, ok := snippet.(map[string]any); ok {
		return fields["text"].(string)
	}
	return snippet.(string)
}

func variables(text string, context *hcl.EvalContext) map[string]cty.Value {
	parsed, diags := hclsyntax.ParseExpression([]byte(text), "variables", hcl.InitialPos)
	if diags.HasErrors() {
		fatal(diags)
	}
	value, diags := parsed.Value(context)
	if diags.HasErrors() {
		fatal(diags)
	}
	return value.AsValueMap()
}

func expression(text string, context *hcl.EvalContext) (found result) {
	defer recovered(&found)
	parsed, diags := hclsyntax.ParseExpression([]byte(text), "snippet", hcl.InitialPos)
	if diags.HasErrors() {
		return failed(diags)
	}
	value, diags := parsed.Value(context)
	if diags.HasErrors() {
		return failed(diags)
	}
	return written(value)
}

// file evaluates the attributes and blocks of a file.
func file(text string, context *hcl.EvalContext) (found result) {
	defer recovered(&found)
	parsed, diags := hclsyntax.ParseConfig([]byte(text), "snippet", hcl.InitialPos)
	if diags.HasErrors() {
		return failed(diags)
	}
	value, diags := body(parsed.Body.(*hclsyntax.Body), context)
	if diags.HasErrors() {
		return failed(diags)
	}
	return written(value)
}

// body returns an object of the attributes. Its attribute "{}" has the blocks: tuples of type, labels and body.
func body(found *hclsyntax.Body, context *hcl.EvalContext) (cty.Value, hcl.Diagnostics) {
	values := map[string]cty.Value{}
	for name, attribute := range found.Attributes {
		value, diags := attribute.Expr.Value(context)
		if diags.HasErrors() {
			return cty.NilVal, diags
		}
		values[name] = value
	}
	blocks := []cty.Value{}
	for _, block := range found.Blocks {
		parts := []cty.Value{cty.StringVal(block.Type)}
		for _, label := range block.Labels {
			parts = append(parts, cty.StringVal(label))
		}
		inner, diags := body(block.Body, context)
		if diags.HasErrors() {
			return cty.NilVal, diags
		}
		blocks = append(blocks, cty.TupleVal(append(parts, inner)))
	}
	if len(blocks) > 0 {
		values["{}"] = cty.TupleVal(blocks)
	}
	return cty.ObjectVal(values), nil
}

func failed(diags hcl.Diagnostics) result {
	for _, each := range diags {
		if each.Severity == hcl.DiagError {
			return result{Error: each.Summary}
		}
	}
	return result{Error: "unknown"}
}

// recovered turns a panic of the reference into an error: for DStream both mean that there is no value.
func recovered(found *result) {
	if reason := recover(); reason != nil {
		*found = result{Error: fmt.Sprintf("panic: %v", reason)}
	}
}

func written(value cty.Value) result {
	value, _ = value.UnmarkDeep()
	if !value.IsWhollyKnown() {
		return result{Error: "unknown value"}
	}
	buffer := &bytes.Buffer{}
	writeJSON(buffer, value)
	return result{Type: typeexpr.TypeString(value.Type()), Value: buffer.Bytes()}
}

func writeJSON(out *bytes.Buffer, value cty.Value) {
	kind := value.Type()
	switch {
	case value.IsNull():
		out.WriteString("null")
	case kind == cty.Number:
		out.WriteString(decimal(value.AsBigFloat()))
	case kind == cty.Bool:
		fmt.Fprintf(out, "%t", value.True())
	case kind == cty.String:
		out.WriteString(compact(value.AsString()))
	case kind.IsMapType() || kind.IsObjectType():
		items := value.AsValueMap()
		out.WriteByte('{')
		for i, name := range sorted(items) {
			if i > 0 {
				out.WriteByte(',')
			}
			out.WriteString(compact(name))
			out.WriteByte(':')
			writeJSON(out, items[name])
		}
		out.WriteByte('}')
	default:
		out.WriteByte('[')
		for i, item := range value.AsValueSlice() {
			if i > 0 {
				out.WriteByte(',')
			}
			writeJSON(out, item)
		}
		out.WriteByte(']')
	}
}

// decimal returns all digits of a number. JSON has no infinity, so it becomes a text.
func decimal(number *big.Float) string {
	if number.IsInf() {
		return `"infinity"`
	}
	return number.Text('f', -1)
}

func versions() map[string]string {
	found := map[string]string{}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		fatal("this program has no build information")
	}
	for _, module := range info.Deps {
		for _, name := range referencePackages {
			if module.Path == name {
				found[name] = module.Version
			}
		}
	}
	return found
}

func fatal(reason any) {
	fmt.Fprintln(os.Stderr, reason)
	os.Exit(1)
}
