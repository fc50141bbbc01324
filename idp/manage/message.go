package manage

import (
	"context"
	"time"

	"hufu/idp"
)

// ResendMessage has a message sent again that was given up. Nobody sees what it says; a
// code is asked for anew by whoever needs one.
func (m *Manager) ResendMessage(ctx context.Context, a Actor, id string) error {
	if err := a.allow(MessageResend); err != nil {
		return err
	}
	return m.Store.Tx(ctx, func(ctx context.Context) error {
		message, err := m.Store.MessageHead(ctx, id)
		if err != nil {
			return err
		}
		if _, err := m.onUser(ctx, a, MessageResend, message.UserID); err != nil {
			return err
		}
		if message.Template == idp.TemplateCode {
			return idp.Errorf(idp.Conflict, "error.code_message")
		}
		if ok, err := m.Store.ResendMessage(ctx, id, time.Now()); err != nil || !ok {
			return orMoved(err)
		}
		return m.record(ctx, a, idp.Event{Name: "message.resent", Subject: message.UserID,
			Data: map[string]any{"message": id, "channel": string(message.Channel), "template": message.Template}})
	})
}
