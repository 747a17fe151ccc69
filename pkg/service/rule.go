package service

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/common/model"
)

// A Match is a set of regular expressions (RE2), each of which may match anywhere in what it is compared with. Those
// that are "" match everything; one at least is not.
type Match struct {
	Service    string // the name without rules
	Executable string // path
	Comm       string
	Cgroup     string // path
	Container  string // name within the pod, or of the engine; the ID also matches
	Unit       string // with its suffix
	Namespace  string
	Pod        string
}

// A subject is what one expression of a Match is compared with. They are in the order of Match's fields.
type subject struct {
	name   string // in templates
	values func(Facts) []string
}

func subjects() []subject {
	return []subject{
		{"service", func(f Facts) []string { return []string{f.Service} }},
		{"executable", func(f Facts) []string { return []string{f.Executable} }},
		{"comm", func(f Facts) []string { return []string{f.Comm} }},
		{"cgroup", func(f Facts) []string { return []string{f.Cgroup} }},
		{"container", func(f Facts) []string { return []string{f.container(), f.ContainerID} }},
		{"unit", func(f Facts) []string { return []string{f.Unit} }},
		{"namespace", func(f Facts) []string { return []string{f.Namespace} }},
		{"pod", func(f Facts) []string { return []string{f.Pod} }},
	}
}

// container is the name that people know a container by.
func (f Facts) container() string {
	if f.PodContainer != "" {
		return f.PodContainer
	}
	return f.ContainerName
}

// compiled is a Rule that is ready to be used.
type compiled struct {
	subjects []subject
	regexps  []*regexp.Regexp // one for each subject; nil: anything
	template string
	sample   float64
}

// Compile checks rules and makes them ready. The error lists all that is wrong, by the rule's number from 0.
func Compile(o Options) (*Rules, error) {
	r := &Rules{max: o.MaxServices, services: map[string]bool{}, series: map[string]labels{}}
	if r.max == 0 {
		r.max = DefaultMaxServices
	}
	var wrong []error
	for i, rule := range o.Rules {
		c, err := compile(rule)
		if err != nil {
			wrong = append(wrong, fmt.Errorf("services[%d]: %w", i, err))
		}
		r.rules = append(r.rules, c)
	}
	for i, config := range o.Relabel {
		own := *config
		if err := own.Validate(model.LegacyValidation); err != nil {
			wrong = append(wrong, fmt.Errorf("relabel_configs[%d]: %w", i, err))
		}
		r.relabel = append(r.relabel, &own)
	}
	if len(wrong) > 0 {
		return nil, errors.Join(wrong...)
	}
	return r, nil
}

func compile(r Rule) (compiled, error) {
	c := compiled{subjects: subjects(), template: r.Name, sample: r.Sample}
	if !(r.Sample >= 0 && r.Sample <= 1) {
		return c, fmt.Errorf("sample %v: want 0 to 1", r.Sample)
	}
	match := reflect.ValueOf(r.Match)
	given := false
	for i, s := range c.subjects {
		text := match.Field(i).String()
		if text == "" {
			c.regexps = append(c.regexps, nil)
			continue
		}
		re, err := regexp.Compile(text)
		if err != nil {
			return c, fmt.Errorf("match %s: %w", s.name, err)
		}
		c.regexps, given = append(c.regexps, re), true
	}
	if !given {
		return c, errors.New("matches everything: name an expression")
	}
	return c, c.checkTemplate()
}

// apply returns the name that a rule gives, "" for none, and whether it matches.
func (c compiled) apply(f Facts) (name string, ok bool) {
	var groups []string // from 1, of all expressions
	named := map[string]string{}
	for i, re := range c.regexps {
		values := c.subjects[i].values(f)
		named[c.subjects[i].name] = values[0]
		if re == nil {
			continue
		}
		var found []string
		for _, value := range values {
			if found = re.FindStringSubmatch(value); found != nil {
				break
			}
		}
		if found == nil {
			return "", false
		}
		groups = append(groups, found[1:]...)
	}
	if c.template == "" {
		return "", true
	}
	next := 0
	for _, re := range c.regexps {
		if re == nil {
			continue
		}
		for _, group := range re.SubexpNames()[1:] {
			if group != "" {
				named[group] = groups[next]
			}
			next++
		}
	}
	return strings.TrimSpace(os.Expand(c.template, func(variable string) string {
		if variable == "$" {
			return "$"
		}
		if n, err := strconv.Atoi(variable); err == nil {
			return groups[n-1]
		}
		return named[variable]
	})), true
}

// checkTemplate makes sure that each variable of a template is there.
func (c compiled) checkTemplate() error {
	var names []string
	groups := 0
	for i, re := range c.regexps {
		names = append(names, c.subjects[i].name)
		if re != nil {
			groups += re.NumSubexp()
			names = append(names, re.SubexpNames()[1:]...)
		}
	}
	for rest := c.template; ; {
		i := strings.IndexByte(rest, '$')
		if i < 0 {
			return nil
		}
		rest = rest[i+1:]
		variable := variableSyntax().FindString(rest)
		name := strings.Trim(variable, "{}")
		n, err := strconv.Atoi(name)
		switch {
		case name == "":
			return fmt.Errorf("name %q: after $ want a number, a name, {name} or another $", c.template)
		case name == "$":
		case err == nil && (n < 1 || n > groups):
			return fmt.Errorf("name %q: $%s: the expressions have %d groups", c.template, name, groups)
		case err != nil && !slices.Contains(names, name):
			return fmt.Errorf("name %q: $%s: no such group, and none of %s", c.template, name, strings.Join(names[:len(c.subjects)], ", "))
		}
		rest = rest[len(variable):]
	}
}

// variableSyntax is what os.Expand takes for a variable: a digit, a word, or anything of these in braces.
func variableSyntax() *regexp.Regexp {
	return regexp.MustCompile(`^(?:\$|[0-9]|[A-Za-z_][A-Za-z0-9_]*|\{(?:[0-9]+|[A-Za-z_][A-Za-z0-9_]*)\})`)
}
