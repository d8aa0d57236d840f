// dashboard-check reads Grafana dashboards with the strict decoder of Grafana's own foundation SDK.
// It names each unknown, misplaced or missing field of each file given, and exits 1 if there is one.
package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/cog/plugins"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

func main() {
	plugins.RegisterDefaultPlugins()
	bad := 0
	for _, path := range os.Args[1:] {
		if err := check(path); err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", path, err)
			bad = 1
		}
	}
	os.Exit(bad)
}

func check(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	board := dashboard.Dashboard{}
	if err := real(board.UnmarshalJSONStrict(text)); err != nil {
		return err
	}
	return real(board.Validate())
}

// real turns the empty list that the decoder returns on success into no error at all.
func real(err error) error {
	var list cog.BuildErrors
	if errors.As(err, &list) && len(list) == 0 {
		return nil
	}
	return err
}
