package admin

import (
	"context"
	"encoding/csv"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"hufu/idp/manage"
	"hufu/templates"
)

// exportPage is how many rows are read at once: what an export holds in memory.
const exportPage = 500

// exportPatience is how long one page may take to be read, and the browser to take it.
const exportPatience = time.Minute

// An export is a list as a file: everything that the list is narrowed to, in the same
// order, page by page by its key. Identifiers are masked as on the page.
type export struct {
	list    string        // the path of the list below /console
	may     manage.Action // the list itself
	columns []string      // catalogue keys
	filters func(v *visit) ([]templates.Input, error)
	open    func(v *visit) (bool, error) // as of a form
	// rows reads the page after a key; next is the key of its last row, "" at the end.
	rows func(v *visit, after string) (rows [][]string, next string, err error)
	of   func(v *visit) (subject, merchant string) // whom alone it is about; nil: nobody
}

// exports lists them all.
var exports = []export{
	{"users", manage.UserList, userExportColumns, (*visit).userFilters, nil, (*visit).exportUsers, nil},
	{"merchants", manage.MerchantList, merchantExportColumns, (*visit).merchantFilters, nil, (*visit).exportMerchants, nil},
	{"stores", manage.StoreList, storeExportColumns, (*visit).storeFilters, nil, (*visit).exportStores, nil},
	{"terminals", manage.TerminalList, terminalExportColumns, (*visit).terminalFilters, nil, (*visit).exportTerminals, nil},
	{"clients", manage.ClientRead, clientExportColumns, (*visit).clientFilters, nil, (*visit).exportClients, nil},
	{"policies", manage.PolicyRead, policyExportColumns, (*visit).policyFilters, nil, (*visit).exportPolicies, nil},
	{"cases", manage.CaseRead, caseExportColumns, (*visit).caseFilters, nil, (*visit).exportCases, nil},
	{"approvals", manage.ApprovalRead, approvalExportColumns, (*visit).approvalFilters, nil, (*visit).exportApprovals, nil},
	{"messages", manage.MessageRead, messageExportColumns, (*visit).messageFilters, nil, (*visit).exportMessages, nil},
	{"events", manage.EventRead, eventExportColumns, (*visit).eventFilters, (*visit).eventsOpen, (*visit).exportEvents, (*visit).eventsOf},
}

// exportForms are the pages that ask for the reason of an export.
func exportForms() []form {
	var list []form
	for _, e := range exports {
		list = append(list, form{"/console/" + e.list + "/export", manage.Export, true, e.opens, e.ask, e.take})
	}
	return list
}

// exportLink is the address of this list as a file, with its filters and what else the
// page shows unasked; "" for whoever may not take it.
func (v *visit) exportLink(unasked ...string) string {
	if !v.may(manage.Export) {
		return ""
	}
	q := v.filterQuery()
	for i := 0; i+1 < len(unasked); i += 2 {
		if unasked[i+1] != "" {
			q.Set(unasked[i], unasked[i+1])
		}
	}
	return strings.TrimSuffix(v.r.URL.Path+"/export?"+q.Encode(), "?")
}

// filterQuery is what the URL says but for where a list stands.
func (v *visit) filterQuery() url.Values {
	q := url.Values{}
	for k, vs := range v.r.URL.Query() {
		if !slices.Contains([]string{"after", "before", "back", "saved"}, k) && len(vs) > 0 && plain(vs[0]) != "" {
			q.Set(k, plain(vs[0]))
		}
	}
	return q
}

func (e export) opens(v *visit) (bool, error) {
	if err := manage.Check(v.User, e.may); err != nil {
		return false, err
	}
	if _, _, err := v.listOf(e.may); err != nil {
		return false, err
	}
	if e.open == nil {
		return true, nil
	}
	return e.open(v)
}

// ask says what leaves, and to whom it is told.
func (e export) ask(v *visit) (templates.ConsoleForm, error) {
	list := "/console/" + e.list
	above := strings.TrimSuffix(list+"?"+v.filterQuery().Encode(), "?")
	name := v.t("console." + e.list)
	if e.may == manage.UserList {
		name = v.t(v.peopleKey())
	}
	title := name + v.t("colon") + v.t("console.export")
	p := templates.ConsoleForm{Desk: v.desk(list), Title: title, Lead: v.t("console.export.lead"),
		Crumbs: []templates.Crumb{{Text: name, URL: above}, {Text: v.t("console.export")}},
		Inputs: []templates.Input{v.reasonField()}, Submit: "console.export.do", Cancel: above}
	inputs, err := e.filters(v)
	for _, in := range inputs {
		value := in.Value
		for _, o := range in.Options {
			if o.Chosen && o.Value != "" {
				value = o.Text
			}
		}
		if value != "" {
			p.Facts = append(p.Facts, templates.Fact{Key: in.Label, Lines: []templates.Cell{{Text: value}}})
		}
	}
	if len(p.Facts) == 0 {
		p.Facts = []templates.Fact{{Key: "console.export.what", Lines: []templates.Cell{{Key: "console.export.everything"}}}}
	}
	return p, err
}

// take notes the export and answers with the file.
func (e export) take(v *visit) (string, error) {
	what := manage.Exported{List: e.list, Filter: map[string]string{}}
	inputs, err := e.filters(v)
	if err != nil {
		return "", err
	}
	for _, in := range inputs {
		if value := v.query(in.Name); value != "" {
			what.Filter[in.Name] = value
		}
	}
	if e.of != nil {
		what.Subject, what.Merchant = e.of(v)
	}
	if err := v.Manage.Export(v.r.Context(), v.actor(), what); err != nil {
		return "", err
	}
	// A long list takes longer than a page may: it is bounded by each of its pages.
	v.r = v.r.WithContext(context.WithoutCancel(v.r.Context()))
	begun := false
	if err := e.write(v, &begun); err != nil {
		if !begun {
			return "", err
		}
		v.Site.Log.WarnContext(v.r.Context(), "export cut off", "list", e.list, "error", err)
		panic(http.ErrAbortHandler) // so that the browser knows that the file is not whole
	}
	return "", nil
}

func (e export) write(v *visit, begun *bool) error {
	whole := v.r.Context()
	out, control := csv.NewWriter(v.w), http.NewResponseController(v.w)
	out.UseCRLF = true // RFC 4180
	for after, first := "", true; first || after != ""; first = false {
		if err := control.SetWriteDeadline(time.Now().Add(exportPatience)); err != nil && !errors.Is(err, http.ErrNotSupported) {
			return err
		}
		rows, next, err := e.page(v, whole, after)
		if err != nil {
			return err
		}
		if first {
			*begun = true
			if err := e.head(v, out); err != nil {
				return err
			}
		}
		for _, row := range rows {
			for i := range row {
				row[i] = inert(row[i])
			}
			_ = out.Write(row) // told by Flush
		}
		out.Flush()
		if err := out.Error(); err != nil {
			return err
		}
		if err := control.Flush(); err != nil && !errors.Is(err, http.ErrNotSupported) {
			return err
		}
		after = next
	}
	return nil
}

func (e export) page(v *visit, whole context.Context, after string) ([][]string, string, error) {
	ctx, cancel := context.WithTimeout(whole, exportPatience)
	defer cancel()
	v.r = v.r.WithContext(ctx)
	return e.rows(v, after)
}

// head begins the file: its name, the mark of UTF-8 and the names of the columns.
func (e export) head(v *visit, out *csv.Writer) error {
	h := v.w.Header()
	h.Set("Content-Type", "text/csv; charset=utf-8")
	h.Set("Content-Disposition", `attachment; filename="hufu-`+e.list+"-"+time.Now().In(v.zone()).Format("20060102-1504")+`.csv"`)
	h.Set("Cache-Control", "no-store")
	v.w.WriteHeader(http.StatusOK)
	if _, err := io.WriteString(v.w, byteOrderMark); err != nil {
		return err
	}
	var names []string
	for _, key := range e.columns {
		names = append(names, v.t(key))
	}
	return out.Write(names)
}

// after is the key that the page behind this one begins with, "" when this one is the last.
func after[T any](list []T, key func(T) string) string {
	if len(list) < exportPage {
		return ""
	}
	return key(list[len(list)-1])
}
