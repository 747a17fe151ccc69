package config

import (
	"fmt"
	"reflect"
	"strings"

	promconfig "github.com/prometheus/common/config"
)

// validateHTTP refuses secrets in the file, then leaves the rest to Prometheus' own checks.
func validateHTTP(p *Problems, key string, c *promconfig.HTTPClientConfig) {
	before := len(*p)
	refuseSecrets(p, key, reflect.ValueOf(c).Elem())
	if u := c.ProxyURL.URL; u != nil && u.User != nil {
		p.add(0, key+".proxy_url", "has a user or password in it: put the URL in the variable HTTPS_PROXY and use proxy_from_environment")
	}
	// A block whose keys are all empty is as good as none, which is how a variable takes back what the file says.
	if c.BasicAuth != nil && *c.BasicAuth == (promconfig.BasicAuth{}) {
		c.BasicAuth = nil
	}
	if c.Authorization != nil && *c.Authorization == (promconfig.Authorization{}) {
		c.Authorization = nil
	}
	if len(*p) > before {
		return // Validate would complain about what was refused
	}
	if err := c.Validate(); err != nil {
		p.add(0, key, "%v", err)
	}
	if err := c.TLSConfig.Validate(); err != nil {
		p.add(0, key+".tls_config", "%v", err)
	}
	if c.OAuth2 != nil {
		if err := c.OAuth2.TLSConfig.Validate(); err != nil {
			p.add(0, key+".oauth2.tls_config", "%v", err)
		}
	}
}

// refuseSecrets finds every secret by its type, so that one which a later version of Prometheus' library adds is
// refused too.
func refuseSecrets(p *Problems, key string, v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			refuseSecrets(p, key, v.Elem())
		}
	case reflect.Struct:
		for i := range v.NumField() {
			name, inline := keyOf(v.Type().Field(i))
			switch {
			case inline:
				refuseSecrets(p, key, v.Field(i))
			case strings.HasSuffix(name, "_ref") && !v.Field(i).IsZero():
				p.add(0, key+"."+name, "names an entry of a secret manager, and there is none: use %s_file", strings.TrimSuffix(name, "_ref"))
			case name != "":
				refuseSecrets(p, key+"."+name, v.Field(i))
			}
		}
	case reflect.Map:
		for entry := range v.Seq2() {
			refuseSecrets(p, key+"."+entry.String(), v.MapIndex(entry))
		}
	case reflect.Slice:
		if v.Len() > 0 && v.Type().Elem() == reflect.TypeFor[promconfig.Secret]() {
			p.add(0, key, "%s", instead(key))
		}
	case reflect.String:
		if v.Len() > 0 && v.Type() == reflect.TypeFor[promconfig.Secret]() {
			p.add(0, key, "%s", instead(key))
		}
	}
}

// instead names the key that takes the file with a secret.
func instead(key string) string {
	last := key[strings.LastIndexByte(key, '.')+1:]
	switch {
	case strings.Contains(key, ".proxy_connect_header."):
		return "a secret does not belong in this file, and a proxy's header has no other place"
	case last == "secrets":
		last = "files"
	case last == "bearer_token":
		last = "authorization.credentials_file"
	default:
		last += "_file"
	}
	return fmt.Sprintf("a secret does not belong in this file: write it in a file of its own and name that in %s", last)
}
