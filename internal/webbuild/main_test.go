package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestBuild: a page with a script of parts and a style becomes files with hashed names, the same each time; what was there before
// goes; a mistake is told and leaves the old files; private members that nothing else can mean have short names.
func TestBuild(t *testing.T) {
	web := t.TempDir()
	for name, text := range map[string]string{
		"index.html": "<p>\n    text\n\n", "src/main.ts": `import "./main.css"; import "./part.ts"; console.log("</script>" as string);
			class A { private hiddenName = 1; private sharedName = 2; b(a: any) { return this.hiddenName + this.sharedName + a.sharedName } }; console.log(new A())`, "src/main.css": "p { color: red }",
		"src/part.ts": "export const x: number = 1; onmessage = () => {}", "dist/main-OLD.js": "old",
	} {
		path := filepath.Join(web, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	files := func() string {
		entries, err := os.ReadDir(filepath.Join(web, "dist"))
		if err != nil {
			t.Fatal(err)
		}
		var all strings.Builder
		for _, e := range entries {
			data, err := os.ReadFile(filepath.Join(web, "dist", e.Name()))
			if err != nil {
				t.Fatal(err)
			}
			all.WriteString(e.Name() + ": " + string(data))
		}
		return all.String()
	}
	if err := run(web); err != nil {
		t.Fatal(err)
	}
	first := files()
	if strings.Count(first, ": ") < 3 || strings.Contains(first, "OLD") || strings.Contains(first, "</script>") || strings.Contains(first, "export") ||
		!strings.Contains(first, "index.html: <p>\ntext\n") || !strings.Contains(first, "p{color:red}") ||
		strings.Contains(first, "hiddenName") || !strings.Contains(first, "sharedName") {
		t.Errorf("built\n%s", first)
	}
	if err := run(web); err != nil || files() != first {
		t.Errorf("again: %v\n%s", err, files())
	}
	if err := os.WriteFile(filepath.Join(web, "src/main.ts"), []byte("let = ;"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := run(web); err == nil || !strings.Contains(err.Error(), "main.ts") || files() != first {
		t.Errorf("of a mistake: %v", err)
	}
}
