package web

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"io"
	"regexp"
	"strings"
	"testing"
)

// budget is what the whole page may take on the wire, in bytes: style, script and the page itself.
const budget = 60_000

func TestSize(t *testing.T) {
	total := len(Page().Gzip)
	for _, a := range Assets() {
		if strings.HasPrefix(a.Name, "file-") {
			continue // is made of the others, and fetched for an export only
		}
		t.Logf("%-24s %7d bytes, %6d compressed", a.Name, len(a.Data), len(a.Gzip))
		total += len(a.Gzip)
	}
	t.Logf("all: %d bytes compressed, of %d", total, budget)
	if total > budget {
		t.Errorf("the page takes %d bytes compressed, the budget is %d", total, budget)
	}
}

// TestPageRefersToAssets: what the page names exists, and it names nothing of other hosts.
func TestPageRefersToAssets(t *testing.T) {
	page := string(Page().Data)
	for _, a := range Assets() {
		if strings.Count(page, `"assets/`+a.Name+`"`) != 1 {
			t.Errorf("the page does not refer to %s once", a.Name)
		}
		z, err := gzip.NewReader(bytes.NewReader(a.Gzip))
		if err != nil {
			t.Fatal(err)
		}
		if data, err := io.ReadAll(z); err != nil || !bytes.Equal(data, a.Data) {
			t.Errorf("%s compressed is something else: %v", a.Name, err)
		}
	}
	if strings.Contains(page, "ebpfprof:") || regexp.MustCompile(`(src|href)="(https?:)?//`).MatchString(page) {
		t.Errorf("the page has a mark left or refers elsewhere: %s", page)
	}
}

// singleFile returns the page around documents.
func singleFile(t testing.TB, title, documents string) string {
	t.Helper()
	var b bytes.Buffer
	err := SingleFile(&b, title, func(w io.Writer) error { _, err := io.WriteString(w, documents); return err })
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

var elements = regexp.MustCompile(`(?s)<(script|style)([^>]*)>(.*?)</(?:script|style)>`)

// TestSingleFile: the file has the documents, whatever is in them, and nothing runs in it but what its policy names by hash.
func TestSingleFile(t *testing.T) {
	documents := `{"documents":["</script><script>alert(1)</script>` + strings.Repeat("<!--<script>", 1000) + `"]}`
	file := singleFile(t, `</title><script>alert(2)</script>"&`, documents)
	if strings.Contains(file, "<script>alert(") {
		t.Error("a name became markup")
	}
	if !strings.Contains(file, "<title>&lt;/title&gt;&lt;script&gt;") {
		t.Error("the title is not there")
	}
	kinds := map[string]int{}
	for _, m := range elements.FindAllStringSubmatch(file, -1) {
		switch attributes := strings.TrimSpace(m[2]); {
		case strings.Contains(attributes, `id="ebpfprof-data"`):
			z, err := gzip.NewReader(base64.NewDecoder(base64.StdEncoding, strings.NewReader(m[3])))
			if err != nil {
				t.Fatal(err)
			}
			if data, err := io.ReadAll(z); err != nil || string(data) != documents {
				t.Errorf("documents: %.100q, %v", data, err)
			}
			kinds["data"]++
		default:
			sum := sha256.Sum256([]byte(m[3]))
			directive := m[1] + "-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
			if !strings.Contains(FilePolicy(), directive) {
				t.Errorf("the policy does not allow a %s: %s", m[1], FilePolicy())
			}
			kinds[m[1]]++
		}
	}
	if len(kinds) != 3 || kinds["data"]*kinds["script"]*kinds["style"] != 1 {
		t.Errorf("elements: %v", kinds)
	}
	policy := strings.Index(file, `<meta http-equiv="Content-Security-Policy"`)
	if policy < 0 || policy > strings.Index(file, "<style") || strings.Contains(FilePolicy(), "unsafe") || strings.Contains(FilePolicy(), "http") {
		t.Errorf("the policy %q does not come before what it is of", FilePolicy())
	}
	if strings.Contains(file, ">"+DataMark+"<") {
		t.Error("the mark of the documents is left")
	}
}

// TestFileAsset: the page makes the same file of the asset.
func TestFileAsset(t *testing.T) {
	want := singleFile(t, "", `{"documents":[]}`)
	for _, a := range Assets() {
		if strings.HasPrefix(a.Name, "file-") {
			data := elements.FindStringSubmatch(want[strings.Index(want, `<script type="application/json"`):])[3]
			if strings.Replace(string(a.Data), DataMark, data, 1) != want {
				t.Error("a file made by the page would be another")
			}
			return
		}
	}
	t.Error("there is no such asset")
}

// TestSingleFileFails: neither an error of the writer nor one of the documents gets lost.
func TestSingleFileFails(t *testing.T) {
	broken := errors.New("broken")
	if err := SingleFile(io.Discard, "", func(io.Writer) error { return broken }); !errors.Is(err, broken) {
		t.Errorf("documents fail: %v", err)
	}
	for _, room := range []int{0, 100, len(singleFile(t, "", "{}")) - 1} {
		w := &limitedWriter{room, broken}
		if err := SingleFile(w, "", func(w io.Writer) error { _, err := io.WriteString(w, "{}"); return err }); !errors.Is(err, broken) {
			t.Errorf("writer fails after %d bytes: %v", room, err)
		}
	}
}

type limitedWriter struct {
	room int
	err  error
}

func (w *limitedWriter) Write(b []byte) (int, error) {
	if len(b) > w.room {
		return 0, w.err
	}
	w.room -= len(b)
	return len(b), nil
}
