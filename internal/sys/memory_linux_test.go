package sys

import (
	"testing"
	"testing/fstest"
)

func TestTheLeastLimitOfMemoryCounts(t *testing.T) {
	const machine = "MemTotal:       16384000 kB\nMemFree:  1 kB\n"
	for name, test := range map[string]struct {
		files map[string]string
		want  uint64
	}{
		"nothing is known":         {nil, 0},
		"no groups":                {map[string]string{"proc/meminfo": machine}, 16384000 << 10},
		"meminfo of another shape": {map[string]string{"proc/meminfo": "MemTotal: much\n"}, 0},
		"version 2": {map[string]string{
			"proc/meminfo": machine, "proc/self/cgroup": "0::/a/b\n",
			"sys/fs/cgroup/a/b/memory.max": "2000000\n", "sys/fs/cgroup/a/memory.max": "max\n",
		}, 2000000},
		"a group above": {map[string]string{
			"proc/meminfo": machine, "proc/self/cgroup": "0::/a/b\n",
			"sys/fs/cgroup/a/b/memory.max": "2000000\n", "sys/fs/cgroup/a/memory.max": "1000000\n",
		}, 1000000},
		"a container that is its own root": {map[string]string{
			"proc/meminfo": machine, "proc/self/cgroup": "0::/../../a\n", "sys/fs/cgroup/memory.max": "3000000",
		}, 3000000},
		"version 1": {map[string]string{
			"proc/meminfo": machine, "proc/self/cgroup": "5:cpu,cpuacct:/c\n4:memory:/c\nnonsense\n",
			"sys/fs/cgroup/memory/c/memory.limit_in_bytes": "4000000\n", "sys/fs/cgroup/c/memory.max": "1\n",
		}, 4000000},
		"no limit in version 1": {map[string]string{
			"proc/meminfo": machine, "proc/self/cgroup": "4:memory:/\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
		}, 16384000 << 10},
	} {
		root := fstest.MapFS{}
		for file, text := range test.files {
			root[file] = &fstest.MapFile{Data: []byte(text)}
		}
		if got := memoryLimit(root); got != test.want {
			t.Errorf("%s: %d, want %d", name, got, test.want)
		}
	}
	if MemoryLimit() < 1<<20 {
		t.Errorf("this machine has %d bytes", MemoryLimit())
	}
}
