package config

import (
	"bytes"
	"errors"
	"io"
	"reflect"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxFile bounds a configuration file; one with a thousand rules has 100 kB.
const maxFile = 1 << 20

// Parse reads a file. Keys that are absent have the value of Default; unknown ones are errors. The error is of type
// Problems and lists all that is wrong, with lines.
func Parse(file []byte) (Config, error) {
	return Load(Sources{File: file})
}

// Sources are where a configuration comes from. Flags win over the environment, that over the file, and that over
// Default.
type Sources struct {
	File []byte
	// LookupEnv returns an environment variable, as os.LookupEnv does; nil for none. One that is set to "" counts.
	LookupEnv func(name string) (string, bool)
	Flags     map[string]string // by Field.Flag, those that were given
}

// Load reads and checks a configuration. The error is of type Problems and lists all that is wrong.
func Load(s Sources) (Config, error) {
	c := Default()
	d := decoder{lines: map[string]int{}}
	d.file(s.File, &c)
	outside := map[string]string{}
	for _, f := range Fields() {
		text, given := s.Flags[f.Flag]
		source := "--" + f.Flag
		if !given && s.LookupEnv != nil {
			text, given = s.LookupEnv(f.Env)
			source = f.Env
		}
		if !given {
			continue
		}
		outside[f.Key] = source
		if problems, ok := errors.AsType[Problems](f.Set(&c, text)); ok {
			d.problems = append(d.problems, problems...)
		}
	}
	if problems, ok := errors.AsType[Problems](c.Validate()); ok {
		d.problems = append(d.problems, problems.without(d.problems)...)
	}
	d.problems.attribute(outside)
	d.problems.locate(d.lines)
	return c, d.problems.err()
}

// file enters a file in c.
func (d *decoder) file(b []byte, c *Config) {
	if len(b) > maxFile {
		d.problems.add(0, "", "longer than %d bytes", maxFile)
		return
	}
	decoder := yaml.NewDecoder(bytes.NewReader(b))
	var document, second yaml.Node
	switch err := decoder.Decode(&document); {
	case errors.Is(err, io.EOF): // nothing but comments
		return
	case err != nil:
		d.syntax(err)
		return
	}
	if err := decoder.Decode(&second); err == nil {
		d.problems.add(second.Line, "", "a second document: the file has one")
	} else if !errors.Is(err, io.EOF) {
		d.syntax(err)
	}
	for _, root := range document.Content {
		d.value(root, reflect.ValueOf(c).Elem(), "")
	}
}

// syntax notes an error of yaml's: "yaml: line 3: mapping values are not allowed in this context".
func (d *decoder) syntax(err error) {
	text, line := strings.TrimPrefix(err.Error(), "yaml: "), 0
	if rest, ok := strings.CutPrefix(text, "line "); ok {
		if number, said, ok := strings.Cut(rest, ": "); ok {
			if n, err := strconv.Atoi(number); err == nil {
				line, text = n, said
			}
		}
	}
	d.problems.add(line, "", "no valid YAML: %s", text)
}

// attribute says of problems with values from outside the file which variable or flag has them.
func (p Problems) attribute(sources map[string]string) {
	for i := range p {
		key := strings.TrimRight(p[i].Key, "[]0123456789")
		for k, source := range sources {
			if p[i].Line == 0 && (key == k || strings.HasPrefix(key, k+".") || strings.HasPrefix(key, k+"[")) {
				p[i].Key, p[i].Text = "", source+": "+p[i].Text
				break
			}
		}
	}
}

// UnknownEnv returns the names of variables, given as "NAME=value", that look like ours but are neither in the table
// nor one of others, such as misspelt ones.
func UnknownEnv(environ []string, others ...string) []string {
	known := map[string]bool{}
	for _, name := range others {
		known[name] = true
	}
	for _, f := range Fields() {
		known[f.Env] = true
	}
	var unknown []string
	for _, variable := range environ {
		name, _, _ := strings.Cut(variable, "=")
		if strings.HasPrefix(name, EnvPrefix) && !known[name] {
			unknown = append(unknown, name)
		}
	}
	return unknown
}
