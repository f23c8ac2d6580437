// Package kwok pins kwok; build.sh builds its command from the tool line of
// go.mod.
package kwok
