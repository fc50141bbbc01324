# make run    the demonstration world: provider :8080, merchant app :8081, terminals :8082
# make test   everything: see .dev/test.sh; installs PostgreSQL, Chromium and a Chinese font when missing and allowed
# Where there is a C compiler, what shares state between requests is tested with the race detector: RACE_PACKAGES whole,
# of STORY_PACKAGES, whose tests are many, those named in RACE_STORIES: the ones with many requests at once. RACE_PACKAGES=
# on the command line leaves it out; make race runs everything with it.
RACE_PACKAGES = ./storage/... ./flows/factor/... ./idp/phc ./idp/session ./idp/web
STORY_PACKAGES = ./flows ./idp/oidc ./idp/manage ./idp/server
RACE_STORIES = Parallel|Replica|Saturat|AtOnce|Once|Beside|Cross|Database|Ticket|Tries|OneAdministrator|AfterSessionEnded|EveryoneSignsIn
PROGRAMS = ./cmd/hufu ./cmd/hufu-bench ./cmd/merchant-app ./cmd/terminal

.PHONY: build run test race fuzz model lint clean

build:
	@mkdir -p bin
	CGO_ENABLED=0 go build -trimpath -o bin/ $(PROGRAMS)

run: build
	@CGO_ENABLED=0 go build -o bin/ ./.dev/run
	@exec bin/run

test:
	@RACE_PACKAGES="$(RACE_PACKAGES)" STORY_PACKAGES="$(STORY_PACKAGES)" RACE_STORIES="$(RACE_STORIES)" sh .dev/test.sh

race:
	@RACE_PACKAGES="$(RACE_PACKAGES)" STORY_PACKAGES="$(STORY_PACKAGES)" RACE_STORIES=. sh .dev/test.sh

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
