package kubelet

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// missingRegistry is the registry that never answers: pods whose image lies
// there wait for ever, as with a mistyped image name.
const missingRegistry = "missing.invalid/"

// Images says which executable stands for which image.
type Images map[string]string

// ParseImages reads NAME=PATH entries. A name has neither tag nor digest.
func ParseImages(entries []string) (Images, error) {
	images := Images{}
	for _, entry := range entries {
		name, path, ok := strings.Cut(entry, "=")
		if !ok || name == "" || path == "" {
			return nil, fmt.Errorf("image %q: expected NAME=PATH, an image name without tag and the executable that stands for it", entry)
		}
		// A link would be followed from the container's root, not from ours.
		path, err := filepath.EvalSymlinks(path)
		if err != nil {
			return nil, fmt.Errorf("image %s: %w", name, err)
		}
		info, err := os.Stat(path)
		if err != nil {
			return nil, fmt.Errorf("image %s: %w", name, err)
		}
		if info.IsDir() || info.Mode()&0o111 == 0 {
			return nil, fmt.Errorf("image %s: %s is not an executable file", name, path)
		}
		images[imageName(name)] = path
	}
	return images, nil
}

// Executable is what stands for an image; empty if nothing does.
func (i Images) Executable(image string) string { return i[imageName(image)] }

// imageName drops tag, digest, and the name of the default registry.
func imageName(image string) string {
	image, _, _ = strings.Cut(image, "@")
	if slash, colon := strings.LastIndex(image, "/"), strings.LastIndex(image, ":"); colon > slash {
		image = image[:colon]
	}
	return strings.TrimPrefix(strings.TrimPrefix(image, "docker.io/"), "library/")
}

func pullFails(image string) bool { return strings.HasPrefix(image, missingRegistry) }
