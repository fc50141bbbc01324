# make run    the demonstration world: provider :8080, merchant app :8081, terminals :8082
# make test   everything: see .dev/test.sh; installs PostgreSQL, Chromium and a Chinese font when missing and allowed
# The packages that share state between requests are tested with the race detector where there is a C compiler;
# RACE_PACKAGES= on the command line leaves it out. Of the whole server's stories, which are many, those named in
# RACE_STORIES run with it too: the ones with many requests at once.
RACE_PACKAGES = ./storage/... ./flows/... ./idp/oidc ./idp/manage ./idp/phc ./idp/session ./idp/web
RACE_STORIES = Parallel|Replica|Saturat|AtOnce|EveryoneSignsIn
PROGRAMS = ./cmd/hufu ./cmd/hufu-bench ./cmd/merchant-app ./cmd/terminal

.PHONY: build run test fuzz model lint clean

build:
	@mkdir -p bin
	CGO_ENABLED=0 go build -trimpath -o bin/ $(PROGRAMS)

run: build
	@CGO_ENABLED=0 go build -o bin/ ./.dev/run
	@exec bin/run

test:
	@RACE_PACKAGES="$(RACE_PACKAGES)" RACE_STORIES="$(RACE_STORIES)" sh .dev/test.sh

fuzz:
	@sh .dev/fuzz.sh

# WALKS and MUTANT_WALKS say how many
model:
	@sh .dev/model.sh

lint:
	@sh .dev/lint.sh

# data/ holds keys and accounts: it stays.
clean:
	rm -rf bin coverage*
