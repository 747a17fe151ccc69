// Command webbuild makes the assets of the page from its sources, with Go alone: `go generate ./web` calls it. It is a
// module of its own, so that the program that embeds the assets does not depend on what builds them.
//
//	webbuild WEB
//
// WEB/index.html and WEB/src become WEB/dist, whose content depends on the sources only.
package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/evanw/esbuild/pkg/api"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: webbuild WEB")
		os.Exit(2)
	}
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "webbuild:", err)
		os.Exit(1)
	}
}

func run(web string) error {
	web, err := filepath.Abs(web)
	if err != nil {
		return err
	}
	files, err := build(web)
	if err != nil {
		return err
	}
	again, err := build(web)
	if err != nil {
		return err
	}
	if !maps.EqualFunc(files, again, bytes.Equal) {
		return errors.New("two builds of the same sources differ")
	}
	return write(filepath.Join(web, "dist"), files)
}

// build returns the files of dist by name: the page, and one classic script, which may be started as a worker from a blob
// everywhere, with its style.
func build(web string) (map[string][]byte, error) {
	index, err := os.ReadFile(filepath.Join(web, "index.html"))
	if err != nil {
		return nil, fmt.Errorf("read page: %w", err)
	}
	private, err := privateNames(filepath.Join(web, "src"))
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{"index.html": compact(index)}
	if err := bundle(web, private, files); err != nil {
		return nil, err
	}
	return files, nil
}

// bundle adds what the entry point becomes, under names that have a hash of the content.
func bundle(web, private string, files map[string][]byte) error {
	result := api.Build(api.BuildOptions{
		AbsWorkingDir:    web,
		EntryPoints:      []string{"src/main.ts"},
		Outdir:           "dist",
		EntryNames:       "[name]-[hash]",
		AssetNames:       "[name]-[hash]",
		Bundle:           true,
		Format:           api.FormatIIFE,
		Platform:         api.PlatformBrowser,
		Target:           api.ES2022,
		MinifyWhitespace: true, MinifyIdentifiers: true, MinifySyntax: true,
		MangleProps:   private,
		LegalComments: api.LegalCommentsNone,
		Sourcemap:     api.SourceMapNone,
		LogLevel:      api.LogLevelSilent,
	})
	if len(result.Errors) > 0 {
		return errors.New(strings.Join(api.FormatMessages(result.Errors, api.FormatMessagesOptions{Kind: api.ErrorMessage}), "\n"))
	}
	for _, warning := range api.FormatMessages(result.Warnings, api.FormatMessagesOptions{Kind: api.WarningMessage}) {
		fmt.Fprintln(os.Stderr, warning)
	}
	for _, f := range result.OutputFiles {
		files[filepath.Base(f.Path)] = f.Contents
	}
	return nil
}

var (
	declared = regexp.MustCompile(`\bprivate (?:static |readonly |async )*(\w+)`)
	word     = regexp.MustCompile(`(?:\bprivate (?:static |readonly |async )*|\bthis\.)?\b\w+`)
)

// privateNames returns an expression for the names of private members that may be shortened: those that the sources never
// mention but as a declaration or behind "this.". Any other use, be it a member of another object, a variable, a string or a
// comment, keeps a name as it is, since it may be that of the browser or of a message.
func privateNames(src string) (string, error) {
	names := map[string]bool{}
	err := filepath.WalkDir(src, func(path string, _ fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".ts" {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return fmt.Errorf("read source: %w", err)
		}
		for _, m := range declared.FindAllSubmatch(text, -1) {
			if _, seen := names[string(m[1])]; !seen {
				names[string(m[1])] = true
			}
		}
		for _, m := range word.FindAll(text, -1) {
			if !bytes.ContainsAny(m, " .") {
				names[string(m)] = false
			}
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	maps.DeleteFunc(names, func(_ string, short bool) bool { return !short })
	if len(names) == 0 {
		return "", nil
	}
	return "^(" + strings.Join(slices.Sorted(maps.Keys(names)), "|") + ")$", nil
}

// compact drops what indents the lines of a page.
func compact(page []byte) []byte {
	var out []byte
	for line := range bytes.Lines(page) {
		if line = bytes.TrimSpace(line); len(line) > 0 {
			out = append(append(out, line...), '\n')
		}
	}
	return out
}

// write makes dir hold files and nothing else.
func write(dir string, files map[string][]byte) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	old, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range old {
		if _, keep := files[e.Name()]; !keep {
			if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if err := os.WriteFile(filepath.Join(dir, name), files[name], 0o644); err != nil {
			return err
		}
	}
	return nil
}
