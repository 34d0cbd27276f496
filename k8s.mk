# Made from the operator's commands by `make targets`. Each target calls one, which knows images, names, ports and hosts
# from the typed application. What it must be told is a make variable:
#
#   ENV=dev|prod                    Which environment.
#   CONFIRM=WORD                    Your consent: the environment's name, to change a cluster that is no minikube. Of
#                                   restore: and to replace data. Of clean: delete-data, to delete data on one that
#                                   is.
#   APP_DIR=FOLDER                  The application's checkout; the folder of its name beside this one unless given.
#   ENV_FILE=FILE                   The file with the values of Secrets. Unless given: .env.
#   HOSTS_FILE=FILE                 The hosts file. Unless given: /etc/hosts.
#   ADDRESS=IP                      Where the ingress controller is reached, when it is not at the host's own address,
#                                   or minikube's.
#   CONTEXT=NAME                    Another kubectl context than the environment's own.
#   TARGET="TARGET …"               Workloads by their short names, such as backend; all unless given. Of
#                                   port-forward: a workload by its short name; the gateway unless given.
#   PUSH=1                          Push the images that are built.
#   REPLACE="VARIABLE …"            A variable of the .env file whose key gets a new value although the cluster has
#                                   one. May be repeated.
#   JSON=1                          Answer in JSON, and print nothing else.
#   FOLLOW=1                        Go on with new log lines.
#   LINES=NUMBER                    How many old log lines of each container. Unless given: 100.
#   SECONDS=NUMBER                  How long jobs that run may take to end. Unless given: 600.
#   NAME=SECRET                     A Secret by its short name: grafana.
#   KEY=KEY                         A key of the Secret.
#   PRESENT=1                       Take the value that the Secret has by now: it was changed otherwise, or a rotation
#                                   stopped half way.
#   DATA=FOLDER                     The folder of an export: where it is, or where a new one shall be. Of restore:
#                                   where the backup is fetched to, and what was there is kept beside; named after it
#                                   unless given. Of rollback: a new folder, by way of which the data are taken along.
#   FROM=cluster|compose|BACKUP     What is exported: the cluster, or the stack of Docker Compose. Unless given:
#                                   cluster. Of restore: the backup by its name, or newest; what there is is listed
#                                   unless given.
#   LIVE=1                          Export although something may write.
#   TO=cluster|compose              Where the data go: the cluster, or the stack of Docker Compose. Of verify-data:
#                                   what is compared with an export. Unless given: cluster.
#   OWNER="DATABASE:SCHEMA:ROLE …"  Who owns what belonged to the source's superuser, where that cannot be known. May
#                                   be repeated.
#   STORE=NAME                      A store by its short name.
#
# Only what is given to make counts: a shell may have a variable of such a name for a purpose of its own. The file that
# includes this one says in OPERATE what is called, in VENV what must be there first, and in ANYWHERE which variables
# are no command's. It has the targets `synth`, which writes dist/, and `dist-check`, which wants it to be committed.

quoted = '$(subst ','\'',$(1))'
given = $(if $(findstring command line,$(origin $(1))),$($(1)))
one = $(if $(call given,$(2)),$(1) $(call quoted,$(call given,$(2))))
each = $(foreach word,$(call given,$(2)),$(1) $(call quoted,$(word)))
flag = $(if $(call given,$(2)),$(if $(filter-out 1,$(call given,$(2))),$(error give $(2)=1, or leave it out),$(1)))

ENVIRONMENTS := dev prod
ENVIRONMENT := $(or $(call given,ENV),dev)
# What is rendered: written first for a cluster of one's own, and for a shared one what was committed.
rendered-dev := synth
rendered-prod := dist-check

with-ENV = $(call quoted,$(ENVIRONMENT))
with-CONFIRM = $(call one,--confirm,CONFIRM)
with-APP_DIR = $(call one,--app-dir,APP_DIR)
with-ENV_FILE = $(call one,--env-file,ENV_FILE)
with-HOSTS_FILE = $(call one,--hosts-file,HOSTS_FILE)
with-ADDRESS = $(call one,--address,ADDRESS)
with-CONTEXT = $(call one,--context,CONTEXT)
with-TARGET = $(call each,,TARGET)
with-PUSH = $(call flag,--push,PUSH)
with-REPLACE = $(call each,--replace,REPLACE)
with-JSON = $(call flag,--json,JSON)
with-FOLLOW = $(call flag,--follow,FOLLOW)
with-LINES_OF_LOG = $(call one,--lines,LINES_OF_LOG)
with-LINES = $(call one,--lines,LINES)
with-SECONDS = $(call one,--seconds,SECONDS)
with-NAME = $(call one,--name,NAME)
with-KEY = $(call one,--key,KEY)
with-PRESENT = $(call flag,--present,PRESENT)
with-DATA = $(call one,--data,DATA)
with-FROM = $(call one,--from,FROM)
with-LIVE = $(call flag,--live,LIVE)
with-TO = $(call one,--to,TO)
with-OWNERS = $(call each,--owner,OWNERS)
with-OWNER = $(call each,--owner,OWNER)
with-STORE = $(call one,--store,STORE)

with = $(foreach name,$(takes-$(1)),$(with-$(name)))
takes-k8s-quick-dev := ENV CONFIRM APP_DIR ENV_FILE HOSTS_FILE ADDRESS
takes-k8s-context := ENV CONTEXT
takes-k8s-build-all := ENV TARGET CONTEXT APP_DIR PUSH
takes-k8s-build-% := ENV CONTEXT APP_DIR PUSH
takes-k8s-setup := ENV CONTEXT CONFIRM ENV_FILE
takes-k8s-secrets := ENV CONTEXT CONFIRM ENV_FILE REPLACE JSON
takes-k8s-diff := ENV CONTEXT
takes-k8s-deploy-dev := CONTEXT CONFIRM
takes-k8s-deploy-prod := CONTEXT CONFIRM
takes-k8s-make-way := ENV CONTEXT CONFIRM
takes-k8s-ingress-hosts := ENV CONTEXT ADDRESS HOSTS_FILE
takes-k8s-urls := ENV JSON
takes-k8s-status := ENV CONTEXT JSON
takes-k8s-logs := ENV TARGET CONTEXT FOLLOW LINES LINES_OF_LOG
takes-k8s-logs-% := ENV CONTEXT FOLLOW LINES LINES_OF_LOG
takes-k8s-logs-agents := ENV CONTEXT FOLLOW LINES LINES_OF_LOG
takes-k8s-describe-failing := ENV CONTEXT
takes-k8s-test-health := ENV CONTEXT ADDRESS JSON
takes-k8s-test-mcp-tools := ENV CONTEXT ADDRESS JSON
takes-k8s-port-forward := ENV TARGET CONTEXT
takes-k8s-show := ENV JSON
takes-k8s-quick-update := ENV TARGET CONTEXT CONFIRM APP_DIR PUSH
takes-k8s-restart := ENV TARGET CONTEXT CONFIRM
takes-k8s-drain := ENV CONTEXT CONFIRM SECONDS
takes-k8s-undrain := ENV CONTEXT CONFIRM
takes-k8s-rotate := ENV NAME KEY CONTEXT CONFIRM PRESENT
takes-k8s-export-data := ENV DATA CONTEXT APP_DIR FROM LIVE
takes-k8s-import-data := ENV DATA CONTEXT CONFIRM APP_DIR TO OWNER OWNERS
takes-k8s-verify-data := ENV DATA CONTEXT APP_DIR TO FROM JSON
takes-k8s-restore := ENV CONTEXT CONFIRM STORE FROM DATA OWNER OWNERS
takes-k8s-rollback := ENV CONTEXT CONFIRM APP_DIR DATA OWNER OWNERS
takes-k8s-clean := ENV CONTEXT CONFIRM

GOALS := $(filter k8s-%,$(MAKECMDGOALS))
PATTERNS := k8s-build-% k8s-logs-%
taken = $(or $(takes-$(1)),$(foreach pattern,$(PATTERNS),$(if $(filter $(pattern),$(1)),$(takes-$(pattern)))))
TAKEN := $(sort $(foreach goal,$(GOALS),$(call taken,$(goal))))
ifneq ($(GOALS),)
$(foreach name,$(filter-out $(TAKEN) $(ANYWHERE) MAKEFLAGS SHELL,$(.VARIABLES)),$(if \
  $(findstring command line,$(origin $(name))),$(error $(GOALS) takes no $(name), only: $(TAKEN))))
ifeq ($(filter $(ENVIRONMENT),$(ENVIRONMENTS)),)
$(error there is no environment $(ENVIRONMENT), only: $(ENVIRONMENTS))
endif
endif

##@ Deploy

.PHONY: k8s-quick-dev
k8s-quick-dev: $(rendered-$(ENVIRONMENT)) ## do everything from nothing, on minikube: context, images, set-up, deployment, hosts file
	@$(OPERATE) quick-dev $(call with,k8s-quick-dev)

.PHONY: k8s-context
k8s-context: $(VENV) ## check that the cluster runs, and make its context the current one
	@$(OPERATE) context $(call with,k8s-context)

.PHONY: k8s-build-all
k8s-build-all: $(VENV) ## build images: all, or those of the workloads named
	@$(OPERATE) build $(call with,k8s-build-all)

k8s-build-%: $(VENV) ## the same for one workload
	@$(OPERATE) build $(with-ENV) '$*' $(with-CONTEXT) $(with-APP_DIR) $(with-PUSH)

.PHONY: k8s-setup
k8s-setup: $(rendered-$(ENVIRONMENT)) ## prepare the cluster: addons, what must be there, the namespace, Secrets
	@$(OPERATE) setup $(call with,k8s-setup)

.PHONY: k8s-secrets
k8s-secrets: $(VENV) ## put into the cluster what its Secrets lack, and say who reads what
	@$(OPERATE) secrets $(call with,k8s-secrets)

.PHONY: k8s-diff
k8s-diff: $(rendered-$(ENVIRONMENT)) ## show what a deployment would change
	@$(OPERATE) diff $(call with,k8s-diff)

.PHONY: k8s-deploy-dev
k8s-deploy-dev: synth ## show the difference, apply phase by phase, and wait for each
	@$(OPERATE) deploy 'dev' $(call with,k8s-deploy-dev)

.PHONY: k8s-deploy-prod
k8s-deploy-prod: dist-check ## show the difference, apply phase by phase, and wait for each; wants CONFIRM=prod
	@$(OPERATE) deploy 'prod' $(call with,k8s-deploy-prod)

.PHONY: k8s-make-way
k8s-make-way: $(rendered-$(ENVIRONMENT)) ## do what must be done before ArgoCD can sync a claim that grows, or what a StatefulSet refuses
	@$(OPERATE) make-way $(call with,k8s-make-way)

.PHONY: k8s-ingress-hosts
k8s-ingress-hosts: $(VENV) ## let the hosts file name the application's host
	@$(OPERATE) ingress-hosts $(call with,k8s-ingress-hosts)

.PHONY: k8s-urls
k8s-urls: $(VENV) ## show where the application is reached
	@$(OPERATE) urls $(call with,k8s-urls)

##@ Look after it

.PHONY: k8s-status
k8s-status: $(VENV) ## show every service: wanted, ready, restarts, age, image, what is wrong
	@$(OPERATE) status $(call with,k8s-status)

.PHONY: k8s-logs
k8s-logs: $(VENV) ## show the last log lines: of everything, or of the workloads named
	@$(OPERATE) logs $(call with,k8s-logs)

k8s-logs-%: $(VENV) ## the same for one workload
	@$(OPERATE) logs $(with-ENV) '$*' $(with-CONTEXT) $(with-FOLLOW) $(with-LINES) $(with-LINES_OF_LOG)

.PHONY: k8s-logs-agents
k8s-logs-agents: $(VENV) ## show the last log lines of all agents
	@$(OPERATE) logs-agents $(call with,k8s-logs-agents)

.PHONY: k8s-describe-failing
k8s-describe-failing: $(VENV) ## show each pod that is in trouble, with its events and last log lines
	@$(OPERATE) describe-failing $(call with,k8s-describe-failing)

.PHONY: k8s-test-health
k8s-test-health: $(VENV) ## check gateway, backend, pods, and whether the registry lists every agent
	@$(OPERATE) test-health $(call with,k8s-test-health)

.PHONY: k8s-test-mcp-tools
k8s-test-mcp-tools: $(VENV) ## ask each agent for its tools
	@$(OPERATE) test-mcp-tools $(call with,k8s-test-mcp-tools)

.PHONY: k8s-port-forward
k8s-port-forward: $(VENV) ## open a workload's ports on this machine until Ctrl-C
	@$(OPERATE) port-forward $(call with,k8s-port-forward)

.PHONY: k8s-show
k8s-show: $(VENV) ## show images, ports and Dockerfiles, as the typed application says
	@$(OPERATE) show $(call with,k8s-show)

##@ Change it

.PHONY: k8s-quick-update
k8s-quick-update: $(VENV) ## build the images anew, and restart each workload whose image changed
	@$(OPERATE) quick-update $(call with,k8s-quick-update)

.PHONY: k8s-restart
k8s-restart: $(VENV) ## restart workloads one pod at a time: all but the stores, or those named
	@$(OPERATE) restart $(call with,k8s-restart)

.PHONY: k8s-drain
k8s-drain: $(VENV) ## let no job of the mesh begin, and wait until those that run have ended
	@$(OPERATE) drain $(call with,k8s-drain)

.PHONY: k8s-undrain
k8s-undrain: $(VENV) ## let jobs of the mesh begin again
	@$(OPERATE) undrain $(call with,k8s-undrain)

.PHONY: k8s-rotate
k8s-rotate: $(VENV) ## give a key of a Secret another value, and bring it to who checks it and who reads it
	@$(OPERATE) rotate $(call with,k8s-rotate)

.PHONY: k8s-export-data
k8s-export-data: $(VENV) ## export all data into a new folder: of the cluster, or of Docker Compose
	@$(OPERATE) export-data $(call with,k8s-export-data)

.PHONY: k8s-import-data
k8s-import-data: $(VENV) ## import an export into the cluster, or into Docker Compose; all but the stores is stopped meanwhile
	@$(OPERATE) import-data $(call with,k8s-import-data)

.PHONY: k8s-verify-data
k8s-verify-data: $(VENV) ## compare what is in the cluster, or in Docker Compose, with an export
	@$(OPERATE) verify-data $(call with,k8s-verify-data)

.PHONY: k8s-restore
k8s-restore: $(VENV) ## list the backups, or bring one back; what is there now is kept, and all but the stores is stopped meanwhile
	@$(OPERATE) restore $(call with,k8s-restore)

.PHONY: k8s-rollback
k8s-rollback: $(VENV) ## go back to Docker Compose: stop everything in the cluster but the stores, and start the stack
	@$(OPERATE) rollback $(call with,k8s-rollback)

.PHONY: k8s-clean
k8s-clean: $(rendered-$(ENVIRONMENT)) ## delete what was deployed; data too when that is confirmed
	@$(OPERATE) clean $(call with,k8s-clean)
