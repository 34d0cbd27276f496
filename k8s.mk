# The operator's commands: each calls `python -m ai_interviewer`, which knows images, names, ports and hosts from the
# typed application. What they need is given as make variables:
#
#   ENV=dev|prod        which environment, for the targets whose name does not say it
#   APP_DIR=FOLDER      the application's checkout
#   CONTEXT=NAME        another kubectl context than the environment's own
#   CONFIRM=WORD        consent: prod for a change of production, delete-data for the deletion of data
#   TARGET="NAME …"     workloads, such as backend; all unless given
#   REPLACE="NAME …"    variables of .env whose keys get a new value although the cluster has one
#   ADDRESS=IP          where the ingress controller is reached, when it is not minikube's address
#   ENV_FILE=FILE       the file with the values of Secrets; .env unless given
#   FOLLOW=1            go on with new log lines
#   LINES_OF_LOG=N      how many old log lines of each container; 100 unless given
#   PUSH=1              push the images that are built
#   DATA=FOLDER         where an export is, or shall be
#   FROM=compose        export from Docker Compose in place of the cluster; TO=compose imports into it
#   LIVE=1              export although something may write
#   OWNERS="D:S:R …"    who owns, in database D and schema S, what belonged to the source's superuser

# A shell may have a variable of this name for a purpose of its own.
ifneq ($(origin ENV),command line)
ENV := dev
endif
OPERATE = .venv/bin/python -m ai_interviewer
quoted = '$(subst ','\'',$(1))'
option = $(if $(2),$(1) $(call quoted,$(2)))
each = $(foreach word,$(2),$(1) $(call quoted,$(word)))
ENVIRONMENT = $(call quoted,$(ENV))
OPTIONS = $(call option,--app-dir,$(APP_DIR)) $(call option,--context,$(CONTEXT)) \
  $(call option,--confirm,$(CONFIRM)) $(call option,--address,$(ADDRESS)) $(call option,--env-file,$(ENV_FILE)) \
  $(call option,--hosts-file,$(HOSTS_FILE)) $(call option,--lines,$(LINES_OF_LOG)) $(if $(FOLLOW),--follow) \
  $(if $(PUSH),--push) $(call option,--data,$(DATA)) $(call option,--from,$(FROM)) $(call option,--to,$(TO)) \
  $(if $(LIVE),--live) $(call each,--replace,$(REPLACE)) $(call each,--owner,$(OWNERS))
# What is rendered is written first in dev; in prod it must have been committed.
RENDERED = $(if $(filter prod,$(ENV)),dist-check,synth)

##@ Deploy

.PHONY: k8s-quick-dev
k8s-quick-dev: synth ## everything from nothing: context, images, set-up, deployment, hosts file
	@$(OPERATE) quick-dev dev $(OPTIONS)

.PHONY: k8s-context
k8s-context: $(VENV) ## check that the cluster runs, and make its context the current one
	@$(OPERATE) context $(ENVIRONMENT) $(OPTIONS)

.PHONY: k8s-build-all
k8s-build-all: $(VENV) ## build all images; k8s-build-backend and so on build one
	@$(OPERATE) build $(ENVIRONMENT) $(OPTIONS)

k8s-build-%: $(VENV)
	@$(OPERATE) build $(ENVIRONMENT) $* $(OPTIONS)

.PHONY: k8s-setup
k8s-setup: $(RENDERED) ## addons, prerequisites, namespace and Secrets
	@$(OPERATE) setup $(ENVIRONMENT) $(OPTIONS)

.PHONY: k8s-secrets
k8s-secrets: $(VENV) ## put into the cluster what its Secrets lack, and say who reads what
	@$(OPERATE) secrets $(ENVIRONMENT) $(OPTIONS)

.PHONY: k8s-diff
k8s-diff: $(RENDERED) ## what a deployment would change
	@$(OPERATE) diff $(ENVIRONMENT) $(OPTIONS)

.PHONY: k8s-deploy-dev
k8s-deploy-dev: synth ## show the difference, apply phase by phase, wait for each
	@$(OPERATE) deploy dev $(OPTIONS)

.PHONY: k8s-deploy-prod
k8s-deploy-prod: dist-check ## the same in production; wants CONFIRM=prod
	@$(OPERATE) deploy prod $(OPTIONS)

.PHONY: k8s-ingress-hosts
k8s-ingress-hosts: $(VENV) ## let the hosts file name the application's host
	@$(OPERATE) ingress-hosts $(ENVIRONMENT) $(OPTIONS)

.PHONY: k8s-urls
k8s-urls: $(VENV) ## where the application is reached
	@$(OPERATE) urls $(ENVIRONMENT) $(OPTIONS)

##@ Look after it

.PHONY: k8s-status
k8s-status: $(VENV) ## what runs
	@$(OPERATE) status $(ENVIRONMENT) $(OPTIONS)

.PHONY: k8s-logs
k8s-logs: $(VENV) ## the last log lines; TARGET=backend FOLLOW=1 for less and more
	@$(OPERATE) logs $(ENVIRONMENT) $(call each,,$(TARGET)) $(OPTIONS)

.PHONY: k8s-logs-backend
k8s-logs-backend: $(VENV) ## the last log lines of the backend
	@$(OPERATE) logs $(ENVIRONMENT) backend $(OPTIONS)

.PHONY: k8s-logs-agents
k8s-logs-agents: $(VENV) ## the last log lines of all agents
	@$(OPERATE) logs-agents $(ENVIRONMENT) $(OPTIONS)

.PHONY: k8s-describe-failing
k8s-describe-failing: $(VENV) ## each pod in trouble, with its events and last log lines
	@$(OPERATE) describe-failing $(ENVIRONMENT) $(OPTIONS)

.PHONY: k8s-test-health
k8s-test-health: $(VENV) ## gateway, backend, pods, and whether the registry lists every agent
	@$(OPERATE) test-health $(ENVIRONMENT) $(OPTIONS)

.PHONY: k8s-test-mcp-tools
k8s-test-mcp-tools: $(VENV) ## ask each agent for its tools
	@$(OPERATE) test-mcp-tools $(ENVIRONMENT) $(OPTIONS)

.PHONY: k8s-port-forward
k8s-port-forward: $(VENV) ## open a workload's port on this machine: TARGET=grafana
	@$(OPERATE) port-forward $(ENVIRONMENT) $(call each,,$(TARGET)) $(OPTIONS)

##@ Change it

.PHONY: k8s-quick-update
k8s-quick-update: $(VENV) ## build the images anew, restart what changed
	@$(OPERATE) quick-update $(ENVIRONMENT) $(call each,,$(TARGET)) $(OPTIONS)

.PHONY: k8s-restart
k8s-restart: $(VENV) ## restart workloads one pod at a time; TARGET=backend for one
	@$(OPERATE) restart $(ENVIRONMENT) $(call each,,$(TARGET)) $(OPTIONS)

.PHONY: k8s-export-data
k8s-export-data: $(VENV) ## all data into a folder: DATA=export; FROM=compose for Docker Compose
	@$(OPERATE) export-data $(ENVIRONMENT) $(OPTIONS)

.PHONY: k8s-import-data
k8s-import-data: $(VENV) ## an export into the cluster: DATA=export; TO=compose for Docker Compose
	@$(OPERATE) import-data $(ENVIRONMENT) $(OPTIONS)

.PHONY: k8s-verify-data
k8s-verify-data: $(VENV) ## compare what is there with an export: DATA=export
	@$(OPERATE) verify-data $(ENVIRONMENT) $(OPTIONS)

.PHONY: k8s-rollback
k8s-rollback: $(VENV) ## back to Docker Compose: stop everything but the stores, start the stack; DATA=back with the data
	@$(OPERATE) rollback $(ENVIRONMENT) $(OPTIONS)

.PHONY: k8s-clean
k8s-clean: $(RENDERED) ## delete what was deployed; data only with CONFIRM=delete-data
	@$(OPERATE) clean $(ENVIRONMENT) $(OPTIONS)

.PHONY: k8s-show
k8s-show: $(VENV) ## images, ports and Dockerfiles, as the typed application says
	@$(OPERATE) show $(ENVIRONMENT) $(OPTIONS)
