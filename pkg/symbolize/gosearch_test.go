package symbolize

import (
	"os"
	"reflect"
	"runtime"
	"testing"
)

// TestGoFunctions: this very program's functions, as the runtime knows them.
func TestGoFunctions(t *testing.T) {
	file, err := os.Open("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		t.Fatal(err)
	}
	o, err := NewObject(file, info.Size())
	if err != nil {
		t.Fatal(err)
	}
	self := runtime.FuncForPC(reflect.ValueOf(TestGoFunctions).Pointer())
	const flush = "runtime.mProf_Flush" // mProf_FlushLocked begins with the same
	got := o.GoFunctions(self.Name(), flush, "runtime.mProf_Flus", "no.such")
	if len(got) != 2 {
		t.Fatalf("found %v", got)
	}
	// Where this is position independent, both are moved by as much.
	pc := uint64(self.Entry())
	if fn := got[self.Name()]; fn.Lo >= fn.Hi || (pc-fn.Lo)%4096 != 0 {
		t.Errorf("%s at %+v, the runtime says %#x", self.Name(), fn, pc)
	}
	for name, fn := range got {
		for _, at := range []uint64{fn.Lo, fn.Hi - 1} {
			// The last bytes may be padding, which has no name.
			if f := o.Frames(at); f != nil && f[len(f)-1].Name != name {
				t.Errorf("%s: %#x is named %+v", name, at, f)
			}
		}
	}
	if got := (&Object{loaded: true}).GoFunctions(flush); got != nil {
		t.Errorf("found in nothing: %v", got)
	}
}
