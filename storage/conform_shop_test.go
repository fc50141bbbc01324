package storage_test

import (
	"context"
	"time"

	"hufu/idp"
	"hufu/storage"
)

// shops holds what is asked of one merchant or one store alone.
func (c *conformity) shops(ctx context.Context) {
	c.did(c.s.RenameStore(ctx, c.shop.ID, "鼓楼新店", "福建"), "RenameStore")
	page, err := c.s.StoresBy(ctx, storage.StoreFilter{Merchant: c.merchant.ID, ID: c.shop.ID}, 10)
	c.did(err, "StoresBy")
	c.is(len(page) == 1 && page[0].Name == "鼓楼新店" && page[0].Place == "福建", "stores", page)
	page, err = c.s.StoresBy(ctx, storage.StoreFilter{Merchant: c.merchant.ID, After: c.shop.ID}, 10)
	c.did(err, "StoresBy")
	c.is(len(page) == 0, "stores after the last", page)

	hand := idp.User{Name: "陈小燕", Language: "zh-CN", Role: idp.RoleCashier, MerchantID: c.merchant.ID, Status: idp.UserActive}
	c.did(c.s.CreateUser(ctx, &hand), "CreateUser")
	to := hand
	to.Role, to.StoreID, to.GraceFrom = idp.RoleManager, c.shop.ID, c.now
	placed, err := c.s.PlaceUser(ctx, to, hand)
	c.did(err, "PlaceUser")
	again, err := c.s.PlaceUser(ctx, hand, hand)
	c.did(err, "PlaceUser")
	got, err := c.s.User(ctx, hand.ID)
	c.did(err, "User")
	c.is(placed && !again && got.Role == idp.RoleManager && got.StoreID == c.shop.ID && got.GraceFrom.Equal(c.now), "placed", got)

	lost := idp.Terminal{Serial: "HFE2099999999", Model: "HF-E20", Kind: idp.TerminalESign, MerchantID: c.merchant.ID, StoreID: c.shop.ID, State: idp.TerminalLost, LastSeenAt: time.Now()}
	c.did(c.s.CreateTerminal(ctx, &lost), "CreateTerminal")
	n, err := c.s.CountShop(ctx, c.merchant.ID, c.shop.ID)
	c.did(err, "CountShop")
	c.is(n.TerminalsBad == 1 && n.Staff == 1 && n.Stores == 1, "counts of a store", n)
	other, err := c.s.CountShop(ctx, "other", "")
	c.did(err, "CountShop")
	c.is(other == storage.ShopCounts{}, "counts of another merchant", other)
	revived, err := c.s.ReviveTerminal(ctx, lost.ID, idp.TerminalLost, c.now)
	c.did(err, "ReviveTerminal")
	list, err := c.s.TerminalsBy(ctx, storage.TerminalFilter{Merchant: c.merchant.ID, Store: c.shop.ID, State: idp.TerminalActive, After: "HFE2090000000"}, 10)
	c.did(err, "TerminalsBy")
	c.is(revived && len(list) == 1 && list[0].LastSeenAt.IsZero() && list[0].ActivatedAt.Equal(c.now), "revived", list)
}
