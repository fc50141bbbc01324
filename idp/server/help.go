package server

import (
	"net/http"
	"slices"

	"hufu/idp"
	"hufu/templates"
)

// help draws the list of topics, or one of them. It looks at nobody: whoever cannot sign
// in, or whose database is gone, reads it all the same.
func (s *Server) help(w http.ResponseWriter, r *http.Request) error {
	switch topic := r.PathValue("topic"); {
	case topic == "":
		return s.site.Public(w, r, templates.Help{})
	case slices.Contains(templates.HelpTopics(), topic):
		return s.site.Public(w, r, templates.HelpTopic{Topic: topic})
	}
	return idp.Errorf(idp.NotFound, "error.notfound")
}
