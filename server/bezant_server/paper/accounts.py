"""What IBKR says about the accounts themselves: capabilities, and the account object of the portfolio calls."""

from __future__ import annotations

from typing import Any

from bezant_server.paper.gateway import Gateway
from bezant_server.paper.session import SERVER_NAME, SERVER_VERSION

_OPENED_MS = 1_769_922_000_000
_ASSET_TYPES = "STK,CFD,OPT,FOP,WAR,FUT,BAG,PDC,CASH,IND,BOND,BILL,FUND,SLB,News,CMDTY,IOPT,ICU,ICS,PHYSS,CRYPTO"


def brokerage_accounts(gateway: Gateway, server_session: str) -> dict[str, Any]:
    """The body of `/iserver/accounts`, and the `args` of the socket's `act` frame."""
    ids = list(gateway.book.accounts)
    brokerage = gateway.session.brokerage
    return {
        "accounts": ids,
        "acctProps": {
            account: {
                "hasChildAccounts": False,
                "supportsCashQty": True,
                "liteUnderPro": False,
                "noFXConv": False,
                "isProp": False,
                "supportsFractions": True,
                "allowCustomerTime": False,
                "autoFx": False,
            }
            for account in ids
        },
        "aliases": {account: account for account in ids},
        "allowFeatures": {
            "showGFIS": True,
            "showEUCostReport": False,
            "allowEventContract": True,
            "allowFXConv": True,
            "allowFinancialLens": False,
            "allowMTA": True,
            "allowTypeAhead": True,
            "allowEventTrading": True,
            "snapshotRefreshTimeout": 30,
            "liteUser": False,
            "showWebNews": True,
            "research": True,
            "debugPnl": True,
            "showTaxOpt": True,
            "showImpactDashboard": True,
            "allowDynAccount": False,
            "allowCrypto": True,
            "allowFA": False,
            "allowLiteUnderPro": False,
            "allowedAssetTypes": _ASSET_TYPES,
            "restrictTradeSubscription": False,
            "showUkUserLabels": False,
            "sideBySide": True,
        },
        "chartPeriods": {
            "STK": ["*"],
            "OPT": ["2h", "1d", "2d", "1w", "1m"],
            "FUT": ["*"],
            "CASH": ["*"],
            "IND": ["*"],
        },
        "groups": [],
        "profiles": [],
        "selectedAccount": brokerage.selected_account if brokerage else ids[0],
        "serverInfo": {"serverName": SERVER_NAME, "serverVersion": SERVER_VERSION},
        "sessionId": server_session,
        "isFT": False,
        "isPaper": True,
    }


def portfolio_account(account: str) -> dict[str, Any]:
    """The account object of `/portfolio/accounts` and `/portfolio/{id}/meta`."""
    return {
        "id": account,
        "PrepaidCrypto-Z": False,
        "PrepaidCrypto-P": False,
        "brokerageAccess": True,
        "accountId": account,
        "accountVan": account,
        "accountTitle": "Paper Trader",
        "displayName": "Paper Trader",
        "accountAlias": None,
        "accountStatus": _OPENED_MS,
        "currency": "USD",
        "type": "DEMO",
        "tradingType": "STKNOPT",
        "businessType": "INDEPENDENT",
        "category": "",
        "ibEntity": "IBLLC-US",
        "faclient": False,
        "clearingStatus": "O",
        "covestor": False,
        "noClientTrading": False,
        "trackVirtualFXPortfolio": False,
        "acctCustType": "INDIVIDUAL",
        "parent": {"mmc": [], "accountId": "", "isMParent": False, "isMChild": False, "isMultiplex": False},
        "desc": account,
    }
