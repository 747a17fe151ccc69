// Package web is the page: its sources in TypeScript, what internal/webbuild makes of them (dist, committed, so that
// `go install` gives the whole program), and the two ways in which it is used.
//
// Served by the daemon, index.html refers to its style and its script, which a worker runs as well. By <meta
// id="ebpfprof-file" content="URL"> it refers to the page as a file without documents, from which the page makes a file
// itself: it puts base64(gzip(JSON)) in the place of DataMark. All URLs are relative to the page.
//
// As a file it holds everything: <script type="application/json" id="ebpfprof-data"> is base64(gzip(JSON)) of
// {"documents":[document, base]}, and the script makes the worker of its own text.
package web

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"html"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/klauspost/compress/gzip"
)

//go:generate go run -C ../internal/webbuild . ../../web

//go:embed dist
var dist embed.FS

// DataMark stands in the page as a file where the documents belong: its first occurrence, as the script has it, too.
const DataMark = "@ebpfprof-documents@"

// Marks in index.html, and the element that is replaced by a title.
const (
	headMark  = "<!--ebpfprof:head-->"
	bodyMark  = "<!--ebpfprof:body-->"
	pageTitle = "<title>ebpfprof</title>"
)

// An Asset is one file of the page. Nobody changes its bytes.
type Asset struct {
	Name        string // has a hash of the content, except that of the page itself
	ContentType string
	Data, Gzip  []byte
	ETag        string // quoted
}

// A bundle is everything that the page consists of.
type bundle struct {
	page   Asset
	assets []Asset
	// head and tail are the page as a file before and after the documents; the title is left as it is.
	head, tail string
	filePolicy string
}

// loaded is made at the first use: a program that serves no page compresses none.
var loaded = sync.OnceValues(load)

// Check says whether the assets that were built in are complete. A program whose tests pass has none that are not.
func Check() error {
	_, err := loaded()
	return err
}

func mustLoad() *bundle {
	b, err := loaded()
	if err != nil {
		panic(err)
	}
	return b
}

// Page returns the page that the daemon serves.
func Page() Asset { return mustLoad().page }

// Assets returns what the page refers to. It expects them in the folder "assets" beside it.
func Assets() []Asset { return mustLoad().assets }

// Policy is the content security policy of the page as the daemon serves it.
const Policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data: blob:; " +
	"worker-src 'self' blob:; base-uri 'none'; form-action 'none'"

// WorkerPolicy is that of the script: a worker obeys its own answer's policy, not the page's. It may start itself once more, for regular expressions, which only ending their worker can interrupt.
const WorkerPolicy = "default-src 'none'; worker-src 'self'; base-uri 'none'; form-action 'none'"

// FilePolicy is the content security policy that the page as a file has in itself: nothing is loaded, and no script runs
// but its own, by their hashes. A worker made of a blob inherits it.
func FilePolicy() string { return mustLoad().filePolicy }

// SingleFile writes the page as one file that needs nothing else. documents writes the JSON {"documents":[document, base]},
// which the file holds compressed, so that no name in it can be taken for markup.
func SingleFile(w io.Writer, title string, documents func(io.Writer) error) error {
	b := mustLoad()
	head := b.head
	if title != "" {
		head = strings.Replace(head, pageTitle, "<title>"+html.EscapeString(title)+"</title>", 1)
	}
	if _, err := io.WriteString(w, head); err != nil {
		return err
	}
	text := base64.NewEncoder(base64.StdEncoding, w)
	zip, err := gzip.NewWriterLevel(text, gzip.BestCompression)
	if err != nil {
		return fmt.Errorf("compress documents: %w", err)
	}
	if err := documents(zip); err != nil {
		return err
	}
	if err := zip.Close(); err != nil {
		return fmt.Errorf("compress documents: %w", err)
	}
	if err := text.Close(); err != nil {
		return err
	}
	_, err = io.WriteString(w, b.tail)
	return err
}

func load() (*bundle, error) {
	index, err := dist.ReadFile("dist/index.html")
	if err != nil {
		return nil, fmt.Errorf("read page: %w", err)
	}
	for _, mark := range []string{headMark, bodyMark, pageTitle} {
		if strings.Count(string(index), mark) != 1 {
			return nil, fmt.Errorf("read page: want %s once in index.html", mark)
		}
	}
	b := &bundle{}
	parts := map[string]Asset{}
	for part, pattern := range map[string]string{"script": "main-*.js", "style": "main-*.css"} {
		if parts[part], err = find(pattern); err != nil {
			return nil, err
		}
		b.assets = append(b.assets, parts[part])
	}
	if err := b.asFile(string(index), parts); err != nil {
		return nil, err
	}
	file := NewAsset("", "text/html; charset=utf-8", []byte(b.head+DataMark+b.tail))
	file.Name = "file-" + strings.Trim(file.ETag, `"`)[:8] + ".html"
	b.assets = append(b.assets, file)
	slices.SortFunc(b.assets, func(x, y Asset) int { return strings.Compare(x.Name, y.Name) })
	b.page = NewAsset("index.html", "text/html; charset=utf-8", []byte(asPage(string(index), parts, file)))
	return b, nil
}

// find returns the one file of dist that a pattern names.
func find(pattern string) (Asset, error) {
	names, err := fs.Glob(dist, "dist/"+pattern)
	if err != nil {
		return Asset{}, fmt.Errorf("find %s: %w", pattern, err)
	}
	if len(names) != 1 {
		return Asset{}, fmt.Errorf("find %s: %d files in dist, want 1", pattern, len(names))
	}
	data, err := dist.ReadFile(names[0])
	if err != nil {
		return Asset{}, fmt.Errorf("read asset: %w", err)
	}
	contentType := "text/javascript; charset=utf-8"
	if path.Ext(pattern) == ".css" {
		contentType = "text/css; charset=utf-8"
	}
	return NewAsset(path.Base(names[0]), contentType, data), nil
}

// NewAsset returns data as an asset. The caller must not change data any more.
func NewAsset(name, contentType string, data []byte) Asset {
	var b bytes.Buffer
	// Of a level that exists and a buffer, which takes all, there is no error.
	zip, _ := gzip.NewWriterLevel(&b, gzip.BestCompression)
	_, _ = zip.Write(data)
	_ = zip.Close()
	sum := sha256.Sum256(data)
	return Asset{
		Name: name, ContentType: contentType, Data: data, Gzip: b.Bytes(),
		ETag: `"` + hex.EncodeToString(sum[:8]) + `"`,
	}
}

// asPage returns the page with references to its parts.
func asPage(index string, parts map[string]Asset, file Asset) string {
	head := fmt.Sprintf(`<link rel="stylesheet" href="assets/%s"><script defer src="assets/%s"></script><meta id="ebpfprof-file" content="assets/%s">`,
		parts["style"].Name, parts["script"].Name, file.Name)
	index = strings.Replace(index, headMark, head, 1)
	return strings.Replace(index, bodyMark, "", 1)
}

// asFile sets head and tail, between which the documents go.
func (b *bundle) asFile(index string, parts map[string]Asset) error {
	style, script := string(parts["style"].Data), string(parts["script"].Data)
	for part, text := range map[string]string{"style": style, "script": script} {
		// An element of raw text ends at its end tag; after <!-- and <script a script does not even end there (HTML,
		// section 13.2.5.4 and on). esbuild writes strings so that neither is there.
		lower := strings.ToLower(text)
		if strings.Contains(lower, "</script") || strings.Contains(lower, "</style") || strings.Contains(lower, "<!--") {
			return fmt.Errorf("put the %s into a file: it has what would end its element", part)
		}
	}
	hash := func(text string) string {
		sum := sha256.Sum256([]byte(text))
		return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
	}
	b.filePolicy = "default-src 'none'; script-src " + hash(script) + "; style-src " + hash(style) +
		"; img-src data: blob:; worker-src blob:; base-uri 'none'; form-action 'none'"
	head := `<meta http-equiv="Content-Security-Policy" content="` + b.filePolicy + `"><style>` + style + `</style>`
	index = strings.Replace(index, headMark, head, 1)
	before, after, _ := strings.Cut(index, bodyMark)
	b.head = before + `<script type="application/json" id="ebpfprof-data">`
	b.tail = `</script><script>` + script + `</script>` + after
	return nil
}
