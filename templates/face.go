package templates

import "strings"

// Face is the first letter of a name, for the account chip.
func Face(name string) string {
	for _, r := range name {
		return strings.ToUpper(string(r))
	}
	return ""
}
