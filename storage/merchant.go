package storage

import (
	"context"
	"errors"
	"time"

	"gorm.io/gorm"

	"hufu/idp"
	"hufu/idp/seal"
)

type merchantRow struct {
	ID         string `gorm:"primaryKey"`
	No         string
	LegalName  []byte
	NameLookup []byte
	Tier       string
	Status     string
	CreatedAt  int64 `gorm:"autoCreateTime:false"`
	ClosedAt   int64
}

func (merchantRow) TableName() string { return "merchants" }

func legalNamePlace(id string) seal.Place {
	return seal.Place{Table: "merchants", Column: "legal_name", Row: id}
}

func (s *Store) fromMerchant(m idp.Merchant) (merchantRow, error) {
	name, err := s.ring.Seal(legalNamePlace(m.ID), []byte(m.LegalName))
	return merchantRow{ID: m.ID, No: m.No, LegalName: name, NameLookup: s.ring.MAC("merchants.name", []byte(m.LegalName)),
		Tier: string(m.Tier), Status: string(m.Status), CreatedAt: micros(m.CreatedAt), ClosedAt: micros(m.ClosedAt)}, err
}

func (s *Store) toMerchant(r merchantRow) (idp.Merchant, error) {
	name, err := s.ring.Open(legalNamePlace(r.ID), r.LegalName)
	return idp.Merchant{ID: r.ID, No: r.No, LegalName: string(name), Tier: idp.Tier(r.Tier), Status: idp.MerchantStatus(r.Status),
		CreatedAt: fromMicros(r.CreatedAt), ClosedAt: fromMicros(r.ClosedAt)}, err
}

// CreateMerchant stores a new merchant, giving it an id.
func (s *Store) CreateMerchant(ctx context.Context, m *idp.Merchant) error {
	m.ID, m.CreatedAt = idp.NewID(), time.Now()
	row, err := s.fromMerchant(*m)
	if err != nil {
		return err
	}
	return s.Tx(ctx, func(ctx context.Context) error {
		return taken(s.db(ctx).Create(&row).Error, "no", "error.taken.merchant_no")
	})
}

// Merchant returns a merchant by id.
func (s *Store) Merchant(ctx context.Context, id string) (idp.Merchant, error) {
	var row merchantRow
	if err := s.db(ctx).Where("id = ?", id).Take(&row).Error; err != nil {
		return idp.Merchant{}, notFound(err)
	}
	return s.toMerchant(row)
}

// HoldMerchant reads a merchant and keeps its row from being changed by others until the
// transaction ends: what is begun under one tier is seen by whoever brings another.
func (s *Store) HoldMerchant(ctx context.Context, id string) (idp.Merchant, error) {
	if !InTx(ctx) {
		return idp.Merchant{}, errors.New("storage: HoldMerchant outside a transaction")
	}
	var row merchantRow
	res := s.db(ctx).Raw("SELECT * FROM merchants WHERE id = ?"+s.holding(), id).Scan(&row)
	if res.Error == nil && row.ID == "" {
		res.Error = gorm.ErrRecordNotFound
	}
	if res.Error != nil {
		return idp.Merchant{}, notFound(res.Error)
	}
	return s.toMerchant(row)
}

// Merchants lists a page of merchants in the order of their numbers, after the
// given number. number and name, when set, must match exactly.
func (s *Store) Merchants(ctx context.Context, after, number, name string, limit int) ([]idp.Merchant, error) {
	q := s.db(ctx).Where("no > ?", after).Order("no").Limit(limit)
	if number != "" {
		q = q.Where("no = ?", number)
	}
	if name != "" {
		q = q.Where("name_lookup = ?", s.ring.MAC("merchants.name", []byte(name)))
	}
	var rows []merchantRow
	if err := q.Find(&rows).Error; err != nil {
		return nil, err
	}
	return mapRows(rows, s.toMerchant)
}

// SetMerchantStatus moves a merchant from one status to another; false when it
// was not in the first.
func (s *Store) SetMerchantStatus(ctx context.Context, id string, from, to idp.MerchantStatus) (bool, error) {
	n, err := s.affected(ctx, "UPDATE merchants SET status = ? WHERE id = ? AND status = ?", string(to), id, string(from))
	return n == 1, err
}

// CloseMerchant ends a merchant for good; false when it is closed, or was not in the status.
func (s *Store) CloseMerchant(ctx context.Context, id string, from idp.MerchantStatus, at time.Time) (bool, error) {
	n, err := s.affected(ctx, "UPDATE merchants SET status = ?, closed_at = ? WHERE id = ? AND status = ? AND status <> ?", string(idp.MerchantClosed), micros(at), id, string(from), string(idp.MerchantClosed))
	return n == 1, err
}

// SetMerchantTier moves a merchant from one tier to another; false when it was not in the first.
func (s *Store) SetMerchantTier(ctx context.Context, id string, from, to idp.Tier) (bool, error) {
	n, err := s.affected(ctx, "UPDATE merchants SET tier = ? WHERE id = ? AND tier = ? AND status <> ?", string(to), id, string(from), string(idp.MerchantClosed))
	return n == 1, err
}

type storeRow struct {
	ID         string `gorm:"primaryKey"`
	MerchantID string
	Name       string
	Place      string
	CreatedAt  int64 `gorm:"autoCreateTime:false"`
}

func (storeRow) TableName() string { return "stores" }

func toStore(r storeRow) (idp.Store, error) {
	return idp.Store{ID: r.ID, MerchantID: r.MerchantID, Name: r.Name, Place: r.Place, CreatedAt: fromMicros(r.CreatedAt)}, nil
}

// CreateStore stores a new store of a merchant, giving it an id.
func (s *Store) CreateStore(ctx context.Context, st *idp.Store) error {
	st.ID, st.CreatedAt = idp.NewID(), time.Now()
	return s.Tx(ctx, func(ctx context.Context) error {
		return s.db(ctx).Create(&storeRow{ID: st.ID, MerchantID: st.MerchantID, Name: st.Name, Place: st.Place, CreatedAt: micros(st.CreatedAt)}).Error
	})
}

// Store returns a store by id.
func (s *Store) Store(ctx context.Context, id string) (idp.Store, error) {
	var row storeRow
	if err := s.db(ctx).Where("id = ?", id).Take(&row).Error; err != nil {
		return idp.Store{}, notFound(err)
	}
	return toStore(row)
}

// Stores lists the stores of a merchant.
func (s *Store) Stores(ctx context.Context, merchant string) ([]idp.Store, error) {
	var rows []storeRow
	if err := s.db(ctx).Where("merchant_id = ?", merchant).Order("id").Limit(1000).Find(&rows).Error; err != nil {
		return nil, err
	}
	return mapRows(rows, toStore)
}

// RenameStore gives a store another name and place.
func (s *Store) RenameStore(ctx context.Context, id, name, place string) error {
	return s.exec(ctx, "UPDATE stores SET name = ?, place = ? WHERE id = ?", name, place, id)
}

// mapRows turns rows into the vocabulary's values, failing on the first that
// cannot be opened.
func mapRows[R, V any](rows []R, to func(R) (V, error)) ([]V, error) {
	out := make([]V, 0, len(rows))
	for _, r := range rows {
		v, err := to(r)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, nil
}

// MerchantFilter narrows [Store.MerchantsBy]; empty fields do not.
type MerchantFilter struct {
	After  string // number of the last merchant of the page before
	Status idp.MerchantStatus
	Tier   idp.Tier
}

// MerchantsBy lists a page of merchants in the order of their numbers.
func (s *Store) MerchantsBy(ctx context.Context, f MerchantFilter, limit int) ([]idp.Merchant, error) {
	q := s.db(ctx).Where("no > ?", f.After).Order("no").Limit(limit)
	if f.Status != "" {
		q = q.Where("status = ?", string(f.Status))
	}
	if f.Tier != "" {
		q = q.Where("tier = ?", string(f.Tier))
	}
	var rows []merchantRow
	if err := q.Find(&rows).Error; err != nil {
		return nil, err
	}
	return mapRows(rows, s.toMerchant)
}

// MerchantsOf returns merchants by their ids.
func (s *Store) MerchantsOf(ctx context.Context, ids []string) (map[string]idp.Merchant, error) {
	var rows []merchantRow
	if err := s.db(ctx).Where("id IN ?", ids).Find(&rows).Error; err != nil {
		return nil, err
	}
	list, err := mapRows(rows, s.toMerchant)
	return byID(list, func(m idp.Merchant) string { return m.ID }), err
}

func byID[V any](list []V, id func(V) string) map[string]V {
	by := make(map[string]V, len(list))
	for _, v := range list {
		by[id(v)] = v
	}
	return by
}

// StoreFilter narrows [Store.StoresBy]; empty fields do not.
type StoreFilter struct {
	After, Merchant string // After: id of the last store of the page before
	ID              string // of one alone
}

// StoresBy lists a page of the stores of one merchant or of all, in the order of their ids.
func (s *Store) StoresBy(ctx context.Context, f StoreFilter, limit int) ([]idp.Store, error) {
	q := s.db(ctx).Where("id > ?", f.After).Order("id").Limit(limit)
	if f.Merchant != "" {
		q = q.Where("merchant_id = ?", f.Merchant)
	}
	if f.ID != "" {
		q = q.Where("id = ?", f.ID)
	}
	var rows []storeRow
	if err := q.Find(&rows).Error; err != nil {
		return nil, err
	}
	return mapRows(rows, toStore)
}

// StoresOf returns stores by their ids.
func (s *Store) StoresOf(ctx context.Context, ids []string) (map[string]idp.Store, error) {
	var rows []storeRow
	if err := s.db(ctx).Where("id IN ?", ids).Find(&rows).Error; err != nil {
		return nil, err
	}
	list, err := mapRows(rows, toStore)
	return byID(list, func(st idp.Store) string { return st.ID }), err
}
