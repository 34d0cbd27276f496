# The operator's commands: each calls `python -m ai_interviewer`, which knows images, names, ports and hosts from the
# typed application. What they need is given as make variables:
#
#   ENV=dev|prod        which environment, for the targets whose name does not say it
#   APP_DIR=FOLDER      the application's checkout
#   CONTEXT=NAME        another kubectl context than the environment's own
#   CONFIRM=WORD        consent: prod for a change of production, delete-data for the deletion of data
#   TARGET="NAME …"     workloads, such as backend; all unless given
#   ADDRESS=IP          where the ingress controller is reached, when it is not minikube's address
#   ENV_FILE=FILE       the file with the values of Secrets; .env unless given
#   FOLLOW=1            go on with new log lines
#   LINES_OF_LOG=N      how many old log lines of each container; 100 unless given
#   PUSH=1              push the images that are built
#   DATA=FOLDER         where an export is, or shall be
#   FROM=compose        export from Docker Compose in place of the cluster; TO=compose imports into it
#   LIVE=1              export although something may write
#   OWNERS="D:S:R …"    who owns, in database D and schema S, what belonged to the source's superuser

ENV ?= dev
OPERATE = .venv/bin/python -m ai_interviewer
OPTIONS = $(if $(APP_DIR),--app-dir '$(APP_DIR)') $(if $(CONTEXT),--context '$(CONTEXT)') \
  $(if $(CONFIRM),--confirm '$(CONFIRM)') $(if $(ADDRESS),--address '$(ADDRESS)') \
  $(if $(ENV_FILE),--env-file '$(ENV_FILE)') $(if $(HOSTS_FILE),--hosts-file '$(HOSTS_FILE)') \
  $(if $(LINES_OF_LOG),--lines '$(LINES_OF_LOG)') $(if $(FOLLOW),--follow) $(if $(PUSH),--push) \
  $(if $(DATA),--data '$(DATA)') $(if $(filter compose,$(FROM) $(TO)),--compose) $(if $(LIVE),--live) \
  $(foreach owner,$(OWNERS),--owner '$(owner)')

##@ Deploy

.PHONY: k8s-quick-dev
k8s-quick-dev: synth ## everything from nothing: context, images, set-up, deployment, hosts file
	@$(OPERATE) quick-dev dev $(OPTIONS)

.PHONY: k8s-context
k8s-context: $(VENV) ## check that the cluster runs, and make its context the current one
	@$(OPERATE) context $(ENV) $(OPTIONS)

.PHONY: k8s-build-all
k8s-build-all: $(VENV) ## build all images; k8s-build-backend and so on build one
	@$(OPERATE) build $(ENV) $(OPTIONS)

k8s-build-%: $(VENV)
	@$(OPERATE) build $(ENV) $* $(OPTIONS)

.PHONY: k8s-setup
k8s-setup: $(VENV) ## addons, prerequisites, namespace and Secrets
	@$(OPERATE) setup $(ENV) $(OPTIONS)

.PHONY: k8s-secrets
k8s-secrets: $(VENV) ## put into the cluster what its Secrets lack, and say who reads what
	@$(OPERATE) secrets $(ENV) $(OPTIONS)

.PHONY: k8s-diff
k8s-diff: $(VENV) ## what a deployment would change
	@$(OPERATE) diff $(ENV) $(OPTIONS)

.PHONY: k8s-deploy-dev
k8s-deploy-dev: synth ## show the difference, apply phase by phase, wait for each
	@$(OPERATE) deploy dev $(OPTIONS)

.PHONY: k8s-deploy-prod
k8s-deploy-prod: dist-check ## the same in production; wants CONFIRM=prod
	@$(OPERATE) deploy prod $(OPTIONS)

.PHONY: k8s-ingress-hosts
k8s-ingress-hosts: $(VENV) ## let the hosts file name the application's host
	@$(OPERATE) ingress-hosts $(ENV) $(OPTIONS)

.PHONY: k8s-urls
k8s-urls: $(VENV) ## where the application is reached
	@$(OPERATE) urls $(ENV) $(OPTIONS)

##@ Look after it

.PHONY: k8s-status
k8s-status: $(VENV) ## what runs
	@$(OPERATE) status $(ENV) $(OPTIONS)

.PHONY: k8s-logs
k8s-logs: $(VENV) ## the last log lines; TARGET=backend FOLLOW=1 for less and more
	@$(OPERATE) logs $(ENV) $(TARGET) $(OPTIONS)

.PHONY: k8s-logs-backend
k8s-logs-backend: $(VENV) ## the last log lines of the backend
	@$(OPERATE) logs $(ENV) backend $(OPTIONS)

.PHONY: k8s-logs-agents
k8s-logs-agents: $(VENV) ## the last log lines of all agents
	@$(OPERATE) logs-agents $(ENV) $(OPTIONS)

.PHONY: k8s-describe-failing
k8s-describe-failing: $(VENV) ## each pod in trouble, with its events and last log lines
	@$(OPERATE) describe-failing $(ENV) $(OPTIONS)

.PHONY: k8s-test-health
k8s-test-health: $(VENV) ## gateway, backend, pods, and whether the registry lists every agent
	@$(OPERATE) test-health $(ENV) $(OPTIONS)

.PHONY: k8s-test-mcp-tools
k8s-test-mcp-tools: $(VENV) ## ask each agent for its tools
	@$(OPERATE) test-mcp-tools $(ENV) $(OPTIONS)

.PHONY: k8s-port-forward
k8s-port-forward: $(VENV) ## open a workload's port on this machine: TARGET=grafana
	@$(OPERATE) port-forward $(ENV) $(TARGET) $(OPTIONS)

##@ Change it

.PHONY: k8s-quick-update
k8s-quick-update: $(VENV) ## build the images anew, restart what changed
	@$(OPERATE) quick-update $(ENV) $(TARGET) $(OPTIONS)

.PHONY: k8s-restart
k8s-restart: $(VENV) ## restart workloads one pod at a time; TARGET=backend for one
	@$(OPERATE) restart $(ENV) $(TARGET) $(OPTIONS)

.PHONY: k8s-export-data
k8s-export-data: $(VENV) ## all data into a folder: DATA=export; FROM=compose for Docker Compose
	@$(OPERATE) export-data $(ENV) $(OPTIONS)

.PHONY: k8s-import-data
k8s-import-data: $(VENV) ## an export into the cluster: DATA=export; TO=compose for Docker Compose
	@$(OPERATE) import-data $(ENV) $(OPTIONS)

.PHONY: k8s-verify-data
k8s-verify-data: $(VENV) ## compare what is there with an export: DATA=export
	@$(OPERATE) verify-data $(ENV) $(OPTIONS)

.PHONY: k8s-rollback
k8s-rollback: $(VENV) ## back to Docker Compose: stop everything but the stores, start the stack; DATA=back with the data
	@$(OPERATE) rollback $(ENV) $(OPTIONS)

.PHONY: k8s-clean
k8s-clean: $(VENV) ## delete what was deployed; data only with CONFIRM=delete-data
	@$(OPERATE) clean $(ENV) $(OPTIONS)

.PHONY: k8s-show
k8s-show: $(VENV) ## images, ports and Dockerfiles, as the typed application says
	@$(OPERATE) show $(ENV) $(OPTIONS)
