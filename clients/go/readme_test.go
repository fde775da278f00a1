package bezant_test

import (
	"archive/zip"
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	bezant "github.com/bezant/bezant-grpc/clients/go"
	"github.com/bezant/bezant-grpc/clients/go/bezantv1"
	"github.com/bezant/bezant-grpc/clients/go/internal/stacktest"
)

const modulePath = "github.com/bezant/bezant-grpc/clients/go"

// TestAStrangerTrades does what the README says, line by line, in a module of its own, with this module as it would be
// released and the running server.
func TestAStrangerTrades(t *testing.T) {
	stack := stacktest.Running(t)
	text := readme(t)
	stranger := newStranger(t, release(t))
	stranger.run(t, "go mod init stranger")
	stranger.run(t, find(t, text, `(?m)^    (go get .*)$`))

	program, snippets := blocks(t, text)
	const address = `"127.0.0.1:50051"`
	if strings.Count(program, address) != 1 {
		t.Fatalf("the program does not connect to %s", address)
	}
	stranger.write(t, "main.go", strings.Replace(program, address, `"`+stack.Target+`"`, 1))
	for i, snippet := range snippets {
		stranger.write(t, fmt.Sprintf("snippet%d.go", i), compilable(fmt.Sprintf("snippet%d", i), snippet))
	}
	output := stranger.run(t, "go run .")
	printed := regexp.MustCompile(`^(.*) bid 230.00\norder (\d+)\n$`).FindStringSubmatch(output)
	if printed == nil || printed[1] != "APPLE INC" {
		t.Fatalf("the program says %q", output)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	found := must(stack.Connect(ctx, t).Orders.GetOrder(ctx, &bezantv1.GetOrderRequest{
		AccountId: stacktest.Account, Id: &bezantv1.GetOrderRequest_OrderId{OrderId: printed[2]},
	}))(t).GetOrder()
	if found.GetConid() != stacktest.AAPL || !number(t, found.GetTotalQuantity()).Equal(number(t, "1")) {
		t.Error(found)
	}

	if usage := stranger.run(t, find(t, text, `(?m)^    (go run .*)$`)+" -h"); !strings.Contains(usage, "-target") {
		t.Errorf("the example says %q", usage)
	}
}

func TestTheProgramOfTheReadmeIsShort(t *testing.T) {
	program, _ := blocks(t, readme(t))
	body := find(t, program, `(?s)func main\(\) \{\n(.*?)\n\}\n`)
	if lines := strings.Count(body, "\n") + 1; lines > 20 {
		t.Errorf("it has %d lines", lines)
	}
}

func TestTheReadmeNamesTheVersion(t *testing.T) {
	text := readme(t)
	for _, wanted := range []string{"clients/go@v" + bezant.Version, "bracket@v" + bezant.Version, "Version " + bezant.Version} {
		if !strings.Contains(text, wanted) {
			t.Errorf("no %q", wanted)
		}
	}
}

func readme(t *testing.T) string {
	t.Helper()
	return string(must(os.ReadFile("README.md"))(t))
}

func find(t *testing.T, text, pattern string) string {
	t.Helper()
	found := regexp.MustCompile(pattern).FindStringSubmatch(text)
	if found == nil {
		t.Fatalf("there is no %s", pattern)
	}
	return found[1]
}

// blocks are the program of the README and what else it has in Go.
func blocks(t *testing.T, text string) (program string, snippets []string) {
	t.Helper()
	for _, block := range regexp.MustCompile("(?s)```go\n(.*?)```").FindAllStringSubmatch(text, -1) {
		if strings.HasPrefix(block[1], "package main\n") {
			program = block[1]
		} else {
			snippets = append(snippets, block[1])
		}
	}
	if program == "" || len(snippets) == 0 {
		t.Fatal("it has no program, or nothing else")
	}
	return program, snippets
}

// compilable makes a function of a snippet, which has a context and a client.
func compilable(name, snippet string) string {
	imports := []string{`"context"`, `bezant "` + modulePath + `"`}
	for qualifier, path := range map[string]string{
		"errors.": `"errors"`, "fmt.": `"fmt"`, "v1.": `v1 "` + modulePath + `/bezantv1"`,
	} {
		if strings.Contains(snippet, qualifier) {
			imports = append(imports, path)
		}
	}
	return fmt.Sprintf("package main\n\nimport (\n%s\n)\n\nfunc %s(ctx context.Context, client *bezant.Client) error {\n%s\nreturn nil\n}\n",
		strings.Join(imports, "\n"), name, snippet)
}

// release makes a module proxy that has this module alone, as the tag of its version would.
func release(t *testing.T) string {
	t.Helper()
	proxy := t.TempDir()
	version := "v" + bezant.Version
	folder := filepath.Join(proxy, filepath.FromSlash(modulePath), "@v")
	if err := os.MkdirAll(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{
		version + ".mod":  must(os.ReadFile("go.mod"))(t),
		version + ".info": fmt.Appendf(nil, `{"Version": %q}`, version),
		"list":            []byte(version),
	} {
		if err := os.WriteFile(filepath.Join(folder, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	file := must(os.Create(filepath.Join(folder, version+".zip")))(t)
	defer file.Close()
	archive := zip.NewWriter(file)
	err := filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if _, err := os.Stat(filepath.Join(path, "go.mod")); path != "." && err == nil {
				return filepath.SkipDir // A module of its own.
			}
			return nil
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		part, err := archive.Create(modulePath + "@" + version + "/" + filepath.ToSlash(path))
		if err != nil {
			return err
		}
		_, err = part.Write(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := archive.Close(); err != nil {
		t.Fatal(err)
	}
	return proxy
}

// stranger is a folder where commands are run as by somebody who has never seen this repository.
type stranger struct {
	folder string
	env    []string
}

func newStranger(t *testing.T, proxy string) *stranger {
	t.Helper()
	cache := strings.TrimSpace(string(must(exec.CommandContext(t.Context(), "go", "env", "GOMODCACHE").Output())(t)))
	return &stranger{folder: t.TempDir(), env: append(os.Environ(),
		"GOPROXY=file://"+proxy+",file://"+filepath.Join(cache, "cache", "download"),
		"GOMODCACHE="+t.TempDir(), "GOFLAGS=-modcacherw -trimpath", "GOSUMDB=off", "GOWORK=off",
	)}
}

func (s *stranger) run(t *testing.T, line string) string {
	t.Helper()
	words := strings.Fields(line)
	command := exec.CommandContext(t.Context(), words[0], words[1:]...)
	command.Dir, command.Env = s.folder, s.env
	output, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", line, err, output)
	}
	return string(output)
}

func (s *stranger) write(t *testing.T, name, content string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(s.folder, name), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}
