package vm

import (
	"encoding/json"
	"fmt"
)

// PayloadPath is where PID 1 finds the payload in the initramfs.
const PayloadPath = "/payload.json"

// A Payload is what PID 1 runs: each command to its end, one after the other,
// whatever the exit status of the one before. Programs inherit Env only.
type Payload struct {
	Env      []string  `json:"env,omitempty"`
	Commands []Command `json:"commands"`
}

// A Command's Name stands in its result line and is a single word.
type Command struct {
	Name string   `json:"name"`
	Argv []string `json:"argv"`
}

// Encode returns what belongs at PayloadPath.
func (p Payload) Encode() ([]byte, error) { return json.Marshal(p) }

// DecodePayload reads what Encode returned.
func DecodePayload(data []byte) (Payload, error) {
	var p Payload
	if err := json.Unmarshal(data, &p); err != nil {
		return p, fmt.Errorf("decode the payload: %w", err)
	}
	for _, c := range p.Commands {
		if len(c.Argv) == 0 {
			return p, fmt.Errorf("decode the payload: command %q has no program", c.Name)
		}
	}
	return p, nil
}
