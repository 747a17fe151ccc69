package config

import "reflect"

func matchType() reflect.Type { return reflect.TypeFor[Match]() }

// An expression is one part of a Match that is set.
type expression struct{ key, expression string }

// fields returns the expressions that are set, in the order of the keys.
func (m Match) fields() []expression {
	var set []expression
	v := reflect.ValueOf(m)
	for i := range v.NumField() {
		if s := v.Field(i).String(); s != "" {
			key, _ := keyOf(v.Type().Field(i))
			set = append(set, expression{key, s})
		}
	}
	return set
}
