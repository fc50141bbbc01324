package server

import (
	"fmt"
	"net/netip"
	"reflect"
	"strconv"
	"strings"

	"hufu/idp"
)

// Field describes one configuration key, as the tags of Config say it.
type Field struct {
	Path        string // "tls.cert_file": the key in the file, and the name in problems
	Env         string // "HUFU_TLS_CERT_FILE"
	Flag        string // "tls-cert-file"; empty when the key may come from the environment only
	Type        string // "text", "number", "true or false", "networks", "list"
	Default     string // {data_dir} stands for the value of data_dir
	DemoDefault string // default in the demonstration world
	Help        string
	Secret      bool // never print its value
	index       []int
}

// Fields lists all keys in the order of Config.
func Fields() []Field {
	return fieldsOf(reflect.TypeFor[Config](), "", nil)
}

func fieldsOf(t reflect.Type, prefix string, index []int) []Field {
	var fields []Field
	for i := range t.NumField() {
		sf := t.Field(i)
		path := prefix + sf.Tag.Get("config")
		at := append(append([]int{}, index...), i)
		if sf.Type.Kind() == reflect.Struct {
			fields = append(fields, fieldsOf(sf.Type, path+".", at)...)
			continue
		}
		fields = append(fields, newField(sf, path, at))
	}
	return fields
}

func newField(sf reflect.StructField, path string, index []int) Field {
	f := Field{
		Path: path, Help: sf.Tag.Get("help"), Secret: sf.Tag.Get("secret") != "", index: index,
		Default: sf.Tag.Get("default"), DemoDefault: sf.Tag.Get("demo"), Env: sf.Tag.Get("env"),
	}
	if f.DemoDefault == "" {
		f.DemoDefault = f.Default
	}
	if f.Env == "" {
		f.Env = "HUFU_" + strings.ToUpper(strings.ReplaceAll(path, ".", "_"))
		f.Flag = strings.NewReplacer(".", "-", "_", "-").Replace(path)
	}
	switch sf.Type.Kind() {
	case reflect.Bool:
		f.Type = "true or false"
	case reflect.Int, reflect.Int64:
		f.Type = "number"
	case reflect.Slice:
		f.Type = "networks"
		if sf.Type.Elem().Kind() == reflect.String {
			f.Type = "list"
		}
	default:
		f.Type = "text"
	}
	return f
}

// Defaults is the configuration of somebody who sets nothing but these two keys.
func Defaults(dataDir string, demo bool) Config {
	var c Config
	for _, f := range Fields() {
		text := f.Default
		if demo {
			text = f.DemoDefault
		}
		if problem := f.Set(&c, strings.ReplaceAll(text, "{data_dir}", dataDir)); problem != nil {
			panic("server: default of " + problem.String())
		}
	}
	c.DataDir, c.Demo = dataDir, demo
	return c
}

// Set reads a value from text. On a problem the configuration is unchanged.
func (f Field) Set(c *Config, text string) *Problem {
	v := reflect.ValueOf(c).Elem().FieldByIndex(f.index)
	problem := func(want string) *Problem {
		if f.Secret {
			text = ""
		}
		return &Problem{Field: f.Path, Value: text, Want: want}
	}
	switch v.Interface().(type) {
	case bool:
		b, err := strconv.ParseBool(text)
		if err != nil {
			return problem("true or false")
		}
		v.SetBool(b)
	case int, int64:
		n, err := strconv.ParseInt(text, 10, v.Type().Bits())
		if err != nil {
			return problem("a whole number")
		}
		v.SetInt(n)
	case []netip.Prefix:
		networks, err := parseNetworks(text)
		if err != nil {
			return problem("networks or addresses with commas between, such as 10.0.0.0/8, 192.0.2.7")
		}
		v.Set(reflect.ValueOf(networks))
	case []string:
		v.Set(reflect.ValueOf(parseList(text)))
	case string, idp.Secret:
		v.SetString(text)
	default:
		panic("server: no reader for " + f.Path)
	}
	return nil
}

// parseList reads words with commas between.
func parseList(text string) []string {
	var list []string
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part != "" {
			list = append(list, part)
		}
	}
	return list
}

// parseNetworks reads CIDR networks and single addresses. An IPv4 network in IPv6 form would never match, since
// addresses are compared unmapped; it is refused.
func parseNetworks(text string) ([]netip.Prefix, error) {
	var networks []netip.Prefix
	for part := range strings.SplitSeq(text, ",") {
		part = strings.TrimSpace(part)
		if part == "" {
			continue
		}
		network, err := parseNetwork(part)
		if err != nil {
			return nil, err
		}
		if network.Addr().Is4In6() {
			return nil, fmt.Errorf("%q is an IPv4 network in IPv6 form", part)
		}
		networks = append(networks, network.Masked())
	}
	return networks, nil
}

func parseNetwork(text string) (netip.Prefix, error) {
	if strings.Contains(text, "/") {
		return netip.ParsePrefix(text)
	}
	addr, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Prefix{}, err
	}
	return addr.WithZone("").Prefix(addr.BitLen())
}
