// Command loader loads a Compose file as Docker Compose does and prints the whole project as JSON.
//
//	loader FILE ENV-FILE     variables come from ENV-FILE
//
// The command that comes with compose-go validates a model without its variables (it never hands them to the loader, up
// to v2.16.2), so a file with required variables cannot pass it.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/compose-spec/compose-go/v2/cli"
)

func main() {
	options, err := cli.NewProjectOptions(os.Args[1:2], cli.WithEnvFiles(os.Args[2]), cli.WithDotEnv)
	fail(err)
	project, err := options.LoadProject(context.Background())
	fail(err)
	text, err := project.MarshalJSON()
	fail(err)
	fmt.Println(string(text))
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
