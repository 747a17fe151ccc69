package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ebpfprof/ebpfprof/pkg/config"
)

// settings are the configuration as flags, one for each key.
type settings struct {
	file   string
	given  map[string]string
	fields []config.Field
}

// addSettings gives a command --config and the flags of all keys.
func addSettings(cmd *cobra.Command) *settings {
	s := &settings{given: map[string]string{}, fields: config.Fields()}
	flags := cmd.Flags()
	flags.StringVar(&s.file, "config", "", "configuration `FILE`, which variables and flags override (default $"+configVariable+")")
	for _, f := range s.fields {
		flag := flags.VarPF(&settingValue{s, f}, f.Flag, "", f.Doc)
		if f.IsBool() {
			flag.NoOptDefVal = "true"
		}
	}
	return s
}

// configVariable names the file for those who cannot give flags.
const configVariable = config.EnvPrefix + "CONFIG"

// load reads the configuration anew: the file, over it the environment, over that the flags.
func (s *settings) load() (config.Config, error) {
	file := s.file
	if file == "" {
		file = os.Getenv(configVariable)
	}
	return loadConfig(file, s.given)
}

// loadConfig reads a file, none if the name is "", and checks everything that can be checked without doing it.
func loadConfig(file string, flags map[string]string) (config.Config, error) {
	var text []byte
	if file != "" {
		var err error
		if text, err = os.ReadFile(file); err != nil {
			return config.Config{}, fmt.Errorf("read configuration: %w", err)
		}
	}
	c, err := config.Load(config.Sources{File: text, LookupEnv: os.LookupEnv, Flags: flags})
	if err != nil {
		return c, placed(file, err)
	}
	if _, err := serviceRules(c); err != nil {
		return c, placed(file, err)
	}
	return c, nil
}

// placed puts the file's name before each problem, as compilers do.
func placed(file string, err error) error {
	problems, ok := errors.AsType[config.Problems](err)
	if !ok {
		return fmt.Errorf("%s: %w", file, err)
	}
	lines := make([]string, len(problems))
	for i, p := range problems {
		line := p.Line
		p.Line = 0
		switch {
		case line > 0:
			lines[i] = fmt.Sprintf("%s:%d: %s", file, line, p.Error())
		default:
			lines[i] = p.Error()
		}
	}
	return errors.New(strings.Join(lines, "\n"))
}

// A settingValue is the flag of one key.
type settingValue struct {
	settings *settings
	field    config.Field
}

func (v *settingValue) String() string {
	if v.settings == nil {
		return "" // the zero value, which pflag asks for
	}
	if s, ok := v.settings.given[v.field.Flag]; ok {
		return s
	}
	return v.field.Get(config.Default())
}

// Set checks the form at once; values are checked against each other when all is known.
func (v *settingValue) Set(s string) error {
	c := config.Default()
	if problems, ok := errors.AsType[config.Problems](v.field.Set(&c, s)); ok {
		return errors.New(problems[0].Text)
	}
	v.settings.given[v.field.Flag] = s
	return nil
}

// Type is what the help shows for the value.
func (v *settingValue) Type() string {
	if v.field.IsBool() {
		return "bool"
	}
	return v.field.Arg
}
