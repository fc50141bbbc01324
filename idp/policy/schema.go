package policy

import (
	"encoding/json"
	"reflect"
	"strings"

	"hufu/idp"
)

// Schema is the JSON Schema (2020-12) of a document, made from the fields. It says what each field may hold; what holds
// together is checked by [Compile].
func Schema(id string) []byte {
	set := tree()
	text := map[string]any{"type": "string", "minLength": 1}
	list := func(item map[string]any) map[string]any {
		return map[string]any{"type": "array", "items": item, "uniqueItems": true}
	}
	when := map[string]any{"type": "object", "additionalProperties": false, "minProperties": 1, "properties": map[string]any{
		"roles": list(map[string]any{"enum": idp.Roles}), "tiers": list(map[string]any{"enum": idp.Tiers}),
		"merchants": list(text), "stores": list(text), "clients": list(text)}}
	rule := map[string]any{"type": "object", "additionalProperties": false, "required": []string{"name", "set"},
		"properties": map[string]any{"name": map[string]any{"type": "string", "minLength": 1, "maxLength": 60}, "when": when, "set": set}}
	raw, err := json.MarshalIndent(map[string]any{"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": id, "title": "Hufu policy",
		"type": "object", "additionalProperties": false, "required": []string{"rules"},
		"properties": map[string]any{"rules": map[string]any{"type": "array", "minItems": 1, "maxItems": MostRules, "items": rule}}}, "", "  ")
	if err != nil {
		panic(err) // made of plain maps
	}
	return append(raw, '\n')
}

// tree nests the fields by the parts of their paths.
func tree() map[string]any {
	root := block()
	for _, f := range fields {
		parts := strings.Split(f.Path, ".")
		at := root
		for _, name := range parts[:len(parts)-1] {
			properties := at["properties"].(map[string]any)
			if properties[name] == nil {
				properties[name] = block()
			}
			at = properties[name].(map[string]any)
		}
		at["properties"].(map[string]any)[parts[len(parts)-1]] = f.schema()
	}
	return root
}

func block() map[string]any {
	return map[string]any{"type": "object", "additionalProperties": false, "properties": map[string]any{}}
}

func (f Field) schema() map[string]any {
	s := map[string]any{"description": "merge: " + string(f.Merge)}
	switch f.Type {
	case durationType:
		s["type"], s["pattern"] = "string", "^([0-9]+(d|h|m|s|ms|us))+$"
		if f.Min != nil {
			s["description"] = "merge: " + string(f.Merge) + "; from " + f.Text(f.Min) + " to " + f.Text(f.Max)
		}
		return s
	case acrType:
		s["enum"] = []string{idp.ACR1.String(), idp.ACR2.String(), idp.ACRPhr.String(), idp.ACRPhrh.String()}
		return s
	case versionType:
		s["type"], s["pattern"] = "string", "^("+strings.Trim(versionForm.String(), "^$")+")?$"
		return s
	}
	switch f.Type.Kind() {
	case reflect.Bool:
		s["type"] = "boolean"
	case reflect.Int:
		s["type"], s["minimum"], s["maximum"] = "integer", f.Min, f.Max
	case reflect.String:
		s["enum"] = f.Words
	default:
		item := map[string]any{"type": "string"}
		if f.Type.Elem().Kind() == reflect.Int {
			item = map[string]any{"type": "integer", "minimum": 0}
		} else if len(f.Words) > 0 {
			item = map[string]any{"enum": f.Words}
		}
		s["type"], s["items"], s["uniqueItems"] = "array", item, true
	}
	return s
}
