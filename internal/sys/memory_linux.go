package sys

import (
	"bufio"
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"
)

// MemoryLimit returns how many bytes of memory this process may use: the least of what the machine has and of what its
// control groups allow, of version 1 or 2, as a container has them. 0 means that it is not known.
func MemoryLimit() uint64 { return memoryLimit(os.DirFS("/")) }

func memoryLimit(root fs.FS) uint64 {
	least := totalMemory(root)
	for _, group := range controlGroups(root) {
		if n := number(root, group); n > 0 && (least == 0 || n < least) {
			least = n
		}
	}
	return least
}

// totalMemory is what the machine has.
func totalMemory(root fs.FS) uint64 {
	f, err := root.Open("proc/meminfo")
	if err != nil {
		return 0
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if rest, ok := strings.CutPrefix(lines.Text(), "MemTotal:"); ok {
			n, err := strconv.ParseUint(strings.TrimSpace(strings.TrimSuffix(rest, "kB")), 10, 54)
			if err != nil {
				return 0
			}
			return n << 10
		}
	}
	return 0
}

// controlGroups are the files that may say what this process and those it was started by may use.
func controlGroups(root fs.FS) (files []string) {
	text, err := fs.ReadFile(root, "proc/self/cgroup")
	if err != nil {
		return nil
	}
	for line := range strings.Lines(string(text)) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3) // hierarchy, controllers, path
		if len(parts) != 3 {
			continue
		}
		dir, file := "sys/fs/cgroup", "memory.max"
		if parts[1] != "" {
			if !strings.Contains(","+parts[1]+",", ",memory,") {
				continue
			}
			dir, file = "sys/fs/cgroup/memory", "memory.limit_in_bytes"
		}
		// A container may see its own group as the root, whatever it is called outside: so all that lie above count.
		for at := path.Clean("/" + parts[2]); ; at = path.Dir(at) {
			files = append(files, path.Join(dir, at, file))
			if at == "/" {
				break
			}
		}
	}
	return files
}

// number reads a file that holds one; 0 where it does not, as with "max".
func number(root fs.FS, file string) uint64 {
	text, err := fs.ReadFile(root, file)
	if err != nil {
		return 0
	}
	n, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64)
	if err != nil {
		return 0
	}
	return n
}
