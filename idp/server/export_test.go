package server

import "hufu/idp/policy"

// Policy is the document that everything decides by, for a story to change before anybody
// asks.
func (s *Server) Policy() *policy.Document { return s.policy }
