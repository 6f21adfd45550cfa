package main

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
	"github.com/zclconf/go-cty/cty/function"
	"github.com/zclconf/go-cty/cty/function/stdlib"
)

// functionsFromDocumentation returns functions of Terraform that neither go-cty nor hcl has. They are written after
// Terraform's documentation, so their recorded results are a reading of it, not Terraform's own behavior.
func functionsFromDocumentation(folder string, others map[string]function.Function) map[string]function.Function {
	own := map[string]function.Function{
		"alltrue":      quantifier(true),
		"anytrue":      quantifier(false),
		"base64decode": ofText(base64Decoded),
		"base64encode": ofText(func(text string) (string, error) { return base64.StdEncoding.EncodeToString([]byte(text)), nil }),
		"base64sha256": ofText(func(text string) (string, error) {
			sum := sha256.Sum256([]byte(text))
			return base64.StdEncoding.EncodeToString(sum[:]), nil
		}),
		"basename":   ofText(func(path string) (string, error) { return filepath.Base(path), nil }),
		"coalesce":   coalesce,
		"dirname":    ofText(func(path string) (string, error) { return filepath.Dir(path), nil }),
		"endswith":   ofTwoTexts(strings.HasSuffix),
		"file":       ofText(func(path string) (string, error) { return readText(folder, path) }),
		"fileexists": fileExists(folder),
		"index":      index,
		"length":     length,
		"lookup":     lookup,
		"md5": ofText(func(text string) (string, error) {
			sum := md5.Sum([]byte(text))
			return hex.EncodeToString(sum[:]), nil
		}),
		"nonsensitive": marked(func(value cty.Value) cty.Value { found, _ := value.Unmark(); return found }),
		"one":          one,
		"pathexpand":   ofText(expanded),
		"replace":      replace,
		"sensitive":    marked(func(value cty.Value) cty.Value { return value.Mark("sensitive") }),
		"sha1": ofText(func(text string) (string, error) {
			sum := sha1.Sum([]byte(text))
			return hex.EncodeToString(sum[:]), nil
		}),
		"sha256": ofText(func(text string) (string, error) {
			sum := sha256.Sum256([]byte(text))
			return hex.EncodeToString(sum[:]), nil
		}),
		"sha512": ofText(func(text string) (string, error) {
			sum := sha512.Sum512([]byte(text))
			return hex.EncodeToString(sum[:]), nil
		}),
		"startswith":  ofTwoTexts(strings.HasPrefix),
		"strcontains": ofTwoTexts(strings.Contains),
		"sum":         sum,
		"timecmp":     timecmp,
		"urlencode":   ofText(func(text string) (string, error) { return url.QueryEscape(text), nil }),
		"uuidv5":      uuidv5,
	}
	own["templatefile"] = templateFile(folder, others, own)
	return own
}

// documented returns the names of the functions above, for the record.
func documented() []string {
	return sorted(functionsFromDocumentation("", nil))
}

func text(name string) function.Parameter { return function.Parameter{Name: name, Type: cty.String} }

func ofText(run func(string) (string, error)) function.Function {
	return function.New(&function.Spec{
		Params: []function.Parameter{text("text")},
		Type:   function.StaticReturnType(cty.String),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			found, err := run(args[0].AsString())
			return cty.StringVal(found), err
		},
	})
}

func ofTwoTexts(run func(string, string) bool) function.Function {
	return function.New(&function.Spec{
		Params: []function.Parameter{text("text"), text("part")},
		Type:   function.StaticReturnType(cty.Bool),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			return cty.BoolVal(run(args[0].AsString(), args[1].AsString())), nil
		},
	})
}

func base64Decoded(text string) (string, error) {
	decoded, err := base64.StdEncoding.DecodeString(text)
	if err == nil && !utf8.Valid(decoded) {
		err = errors.New("the result is not valid UTF-8")
	}
	return string(decoded), err
}

func readText(folder, path string) (string, error) {
	if !filepath.IsAbs(path) {
		path = filepath.Join(folder, path)
	}
	content, err := os.ReadFile(path)
	if err == nil && !utf8.Valid(content) {
		err = errors.New("the file is not valid UTF-8")
	}
	return string(content), err
}

func fileExists(folder string) function.Function {
	return function.New(&function.Spec{
		Params: []function.Parameter{text("path")},
		Type:   function.StaticReturnType(cty.Bool),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			found, err := os.Stat(filepath.Join(folder, args[0].AsString()))
			if err == nil && !found.Mode().IsRegular() {
				return cty.False, errors.New("not a regular file")
			}
			return cty.BoolVal(err == nil), nil
		},
	})
}

func expanded(path string) (string, error) {
	if path != "~" && !strings.HasPrefix(path, "~/") {
		return path, nil
	}
	home, err := os.UserHomeDir()
	return home + path[1:], err
}

// quantifier is alltrue (all) or anytrue: over a list of bools, where null is false.
func quantifier(all bool) function.Function {
	return function.New(&function.Spec{
		Params: []function.Parameter{{Name: "list", Type: cty.List(cty.Bool)}},
		Type:   function.StaticReturnType(cty.Bool),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			for _, each := range args[0].AsValueSlice() {
				holds := !each.IsNull() && each.True()
				if holds != all {
					return cty.BoolVal(holds), nil
				}
			}
			return cty.BoolVal(all), nil
		},
	})
}

// coalesce returns the first argument that is neither null nor an empty string, after unifying the types.
var coalesce = function.New(&function.Spec{
	VarParam: &function.Parameter{
		Name: "values", Type: cty.DynamicPseudoType, AllowNull: true, AllowDynamicType: true,
	},
	Type: func(args []cty.Value) (cty.Type, error) {
		types := make([]cty.Type, len(args))
		for i, each := range args {
			types[i] = each.Type()
		}
		found, _ := convert.UnifyUnsafe(types)
		if found == cty.NilType {
			return found, errors.New("all arguments must have the same type")
		}
		return found, nil
	},
	Impl: func(args []cty.Value, wanted cty.Type) (cty.Value, error) {
		for _, each := range args {
			found, err := convert.Convert(each, wanted)
			if err != nil {
				return cty.NilVal, err
			}
			if !found.IsNull() && !(found.Type() == cty.String && found.AsString() == "") {
				return found, nil
			}
		}
		return cty.NilVal, errors.New("no non-null, non-empty-string arguments")
	},
})

var index = function.New(&function.Spec{
	Params: []function.Parameter{{Name: "list", Type: cty.DynamicPseudoType}, {Name: "value", Type: cty.DynamicPseudoType}},
	Type: func(args []cty.Value) (cty.Type, error) {
		kind := args[0].Type()
		if !kind.IsListType() && !kind.IsTupleType() {
			return cty.NilType, errors.New("argument must be a list or tuple")
		}
		return cty.Number, nil
	},
	Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
		for i, each := range args[0].AsValueSlice() {
			same, err := stdlib.Equal(each, args[1])
			if err != nil {
				return cty.NilVal, err
			}
			if same.True() {
				return cty.NumberIntVal(int64(i)), nil
			}
		}
		return cty.NilVal, errors.New("item not found")
	},
})

var length = function.New(&function.Spec{
	Params: []function.Parameter{{Name: "value", Type: cty.DynamicPseudoType}},
	Type: func(args []cty.Value) (cty.Type, error) {
		kind := args[0].Type()
		if kind == cty.String || kind.IsCollectionType() || kind.IsTupleType() || kind.IsObjectType() {
			return cty.Number, nil
		}
		return cty.NilType, errors.New("argument must be a string, a collection type, or a structural type")
	},
	Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
		value := args[0]
		switch {
		case value.Type() == cty.String:
			return stdlib.Strlen(value)
		case value.Type().IsObjectType():
			return cty.NumberIntVal(int64(len(value.Type().AttributeTypes()))), nil
		default:
			return cty.NumberIntVal(int64(value.LengthInt())), nil
		}
	},
})

// lookup: the default may be left out, "for historical reasons". That of a map is converted to the type of its elements.
var lookup = function.New(&function.Spec{
	Params: []function.Parameter{{Name: "map", Type: cty.DynamicPseudoType}, text("key")},
	VarParam: &function.Parameter{
		Name: "default", Type: cty.DynamicPseudoType, AllowNull: true, AllowDynamicType: true,
	},
	Type: func(args []cty.Value) (cty.Type, error) {
		kind := args[0].Type()
		switch {
		case len(args) > 3:
			return cty.NilType, errors.New("takes two or three arguments")
		case kind.IsMapType():
			return kind.ElementType(), nil
		case !kind.IsObjectType():
			return cty.NilType, errors.New("the first argument must be a map or object")
		case kind.HasAttribute(args[1].AsString()):
			return kind.AttributeType(args[1].AsString()), nil
		case len(args) == 3:
			return args[2].Type(), nil
		}
		return cty.NilType, errors.New("the object has no such attribute")
	},
	Impl: func(args []cty.Value, wanted cty.Type) (cty.Value, error) {
		if found, ok := args[0].AsValueMap()[args[1].AsString()]; ok {
			return found, nil
		}
		if len(args) == 3 {
			return convert.Convert(args[2], wanted)
		}
		return cty.NilVal, errors.New("the map has no such key")
	},
})

// marked is a function of any value, null included, that keeps its type.
func marked(run func(cty.Value) cty.Value) function.Function {
	return function.New(&function.Spec{
		Params: []function.Parameter{{
			Name: "value", Type: cty.DynamicPseudoType, AllowNull: true, AllowMarked: true, AllowDynamicType: true,
		}},
		Type: func(args []cty.Value) (cty.Type, error) { return args[0].Type(), nil },
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) { return run(args[0]), nil },
	})
}

var one = function.New(&function.Spec{
	Params: []function.Parameter{{Name: "list", Type: cty.DynamicPseudoType}},
	Type: func(args []cty.Value) (cty.Type, error) {
		kind := args[0].Type()
		switch {
		case kind.IsTupleType() && len(kind.TupleElementTypes()) == 0:
			return cty.DynamicPseudoType, nil
		case kind.IsTupleType() && len(kind.TupleElementTypes()) == 1:
			return kind.TupleElementType(0), nil
		case kind.IsListType() || kind.IsSetType():
			return kind.ElementType(), nil
		}
		return cty.NilType, errors.New("must be a list, set, or tuple value with either zero or one elements")
	},
	Impl: func(args []cty.Value, wanted cty.Type) (cty.Value, error) {
		items := args[0].AsValueSlice()
		switch len(items) {
		case 0:
			return cty.NullVal(wanted), nil
		case 1:
			return items[0], nil
		}
		return cty.NilVal, errors.New("must be a list, set, or tuple value with either zero or one elements")
	},
})

// replace: a pattern between slashes is a regular expression.
var replace = function.New(&function.Spec{
	Params: []function.Parameter{text("text"), text("substring"), text("replacement")},
	Type:   function.StaticReturnType(cty.String),
	Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
		old := args[1].AsString()
		if len(old) > 1 && old[0] == '/' && old[len(old)-1] == '/' {
			return stdlib.RegexReplace(args[0], cty.StringVal(old[1:len(old)-1]), args[2])
		}
		return stdlib.Replace(args[0], args[1], args[2])
	},
})

var sum = function.New(&function.Spec{
	Params: []function.Parameter{{Name: "list", Type: cty.DynamicPseudoType}},
	Type:   function.StaticReturnType(cty.Number),
	Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
		kind := args[0].Type()
		if !kind.IsListType() && !kind.IsSetType() && !kind.IsTupleType() {
			return cty.NilVal, errors.New("argument must be list, set, or tuple")
		}
		items := args[0].AsValueSlice()
		if len(items) == 0 {
			return cty.NilVal, errors.New("cannot sum an empty list")
		}
		total := cty.Zero
		for _, each := range items {
			number, err := convert.Convert(each, cty.Number)
			if err != nil {
				return cty.NilVal, err
			}
			if number.IsNull() {
				return cty.NilVal, errors.New("argument must be list, set, or tuple of number values")
			}
			total = total.Add(number)
		}
		return total, nil
	},
})

var timecmp = function.New(&function.Spec{
	Params: []function.Parameter{text("a"), text("b")},
	Type:   function.StaticReturnType(cty.Number),
	Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
		a, err := time.Parse(time.RFC3339, args[0].AsString())
		if err != nil {
			return cty.NilVal, err
		}
		b, err := time.Parse(time.RFC3339, args[1].AsString())
		return cty.NumberIntVal(int64(a.Compare(b))), err
	},
})

// uuidv5: the namespace is a UUID or one of four names.
var uuidv5 = function.New(&function.Spec{
	Params: []function.Parameter{text("namespace"), text("name")},
	Type:   function.StaticReturnType(cty.String),
	Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
		names := map[string]uuid.UUID{
			"dns": uuid.NameSpaceDNS, "url": uuid.NameSpaceURL, "oid": uuid.NameSpaceOID, "x500": uuid.NameSpaceX500,
		}
		namespace, known := names[args[0].AsString()]
		if !known {
			parsed, err := uuid.Parse(args[0].AsString())
			if err != nil {
				return cty.NilVal, err
			}
			namespace = parsed
		}
		return cty.StringVal(uuid.NewSHA1(namespace, []byte(args[1].AsString())).String()), nil
	},
})

// templateFile renders a file with the given variables only. A template cannot call templatefile.
func templateFile(folder string, tables ...map[string]function.Function) function.Function {
	return function.New(&function.Spec{
		Params: []function.Parameter{text("path"), {Name: "variables", Type: cty.DynamicPseudoType}},
		Type:   function.StaticReturnType(cty.DynamicPseudoType),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			content, err := readText(folder, args[0].AsString())
			if err != nil {
				return cty.NilVal, err
			}
			if kind := args[1].Type(); !kind.IsObjectType() && !kind.IsMapType() {
				return cty.NilVal, errors.New("the variables must be a map")
			}
			context := &hcl.EvalContext{Variables: args[1].AsValueMap(), Functions: map[string]function.Function{}}
			for _, table := range tables {
				for name, each := range table {
					if name != "templatefile" {
						context.Functions[name] = each
					}
				}
			}
			for name := range context.Variables {
				if !hclsyntax.ValidIdentifier(name) {
					return cty.NilVal, fmt.Errorf("invalid template variable name %q", name)
				}
			}
			parsed, diags := hclsyntax.ParseTemplate([]byte(content), args[0].AsString(), hcl.InitialPos)
			if diags.HasErrors() {
				return cty.NilVal, diags
			}
			value, diags := parsed.Value(context)
			if diags.HasErrors() {
				return cty.NilVal, diags
			}
			return value, nil
		},
	})
}
