package storage

import (
	"context"
	"maps"
	"time"

	"hufu/idp"
)

// Keep names what of a person's own survives [Store.EndAll]: the session he acts
// in, and the flow he walks.
type Keep struct{ Session, Flow string }

// EndAll ends the live sessions, the grants and the open flows of a person and
// writes an event for every session and grant that ended. by says who did it and
// from where; cause is the reason kept with what ended.
func (s *Store) EndAll(ctx context.Context, u idp.User, keep Keep, cause string, by idp.Event) error {
	return s.Tx(ctx, func(ctx context.Context) error {
		now := time.Now()
		sessions, err := s.EndSessions(ctx, u.ID, keep.Session, cause, now)
		if err != nil {
			return err
		}
		grants, err := s.EndUserGrants(ctx, u.ID, cause, now)
		if err != nil {
			return err
		}
		for name, ids := range map[string][]string{"session.ended": sessions, "grant.revoked": grants} {
			for _, id := range ids {
				if err := s.Append(ctx, ended(by, u, name, id, cause)); err != nil {
					return err
				}
			}
		}
		return s.exec(ctx, "DELETE FROM flows WHERE user_id = ? AND id <> ?", u.ID, keep.Flow)
	})
}

// ended is the event of one thing that ended.
func ended(by idp.Event, u idp.User, name, id, cause string) idp.Event {
	by.Name, by.Subject, by.Merchant, by.Store = name, u.ID, u.MerchantID, u.StoreID
	data := maps.Clone(by.Data)
	if data == nil {
		data = map[string]any{}
	}
	data["cause"] = cause
	if name == "session.ended" {
		data["session"] = id
	} else {
		data["grant"] = id
	}
	by.Data = data
	return by
}
