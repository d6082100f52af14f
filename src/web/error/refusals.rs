//! How what the rooms below refuse is answered: the status of each refusal. Its words are its own.

use axum::http::StatusCode;

use crate::auth::accounts::AccountError;
use crate::auth::limit::LimitError;
use crate::auth::quota::TakeError;
use crate::auth::sharing::SharingError;
use crate::bundle::BundleError;
use crate::dataset::service::UploadError;
use crate::dataset::statistics_file::StatisticsFileError;
use crate::dataset::uploads::PartError;
use crate::experiment::service::LaunchError;
use crate::files::depot::DepotError;
use crate::files::intake::IntakeError;
use crate::server::ServersError;
use crate::web::error::Error;
use crate::workload::service::AddError;

impl From<LimitError> for Error {
    fn from(error: LimitError) -> Self {
        match error {
            LimitError::TooOften(often) => Self::TooOften(often),
            LimitError::Store(error) => error.into(),
        }
    }
}

impl From<AccountError> for Error {
    fn from(error: AccountError) -> Self {
        let status = match error {
            AccountError::Fault(error) => return error.into(),
            AccountError::TooOften(often) => return Self::TooOften(often),
            AccountError::Busy => StatusCode::SERVICE_UNAVAILABLE,
            AccountError::Closed => StatusCode::FORBIDDEN,
            AccountError::AlreadySetUp | AccountError::TooManyTokens => StatusCode::CONFLICT,
            AccountError::Wrong
            | AccountError::NotYours
            | AccountError::Name(_)
            | AccountError::Password(_)
            | AccountError::Taken
            | AccountError::NoInvitation
            | AccountError::NoSetup => StatusCode::UNPROCESSABLE_ENTITY,
        };
        Self::Refused {
            status,
            message: error.to_string(),
        }
    }
}

impl From<SharingError> for Error {
    fn from(error: SharingError) -> Self {
        match error {
            SharingError::NotYours => Self::NotFound("page"),
            SharingError::TooMany => Self::refused(error.to_string()),
            SharingError::Fault(error) => error.into(),
        }
    }
}

impl From<UploadError> for Error {
    fn from(error: UploadError) -> Self {
        let error = match error {
            UploadError::Fault(fault) => return fault.into(),
            error => error,
        };
        let status = match &error {
            UploadError::Fault(_)
            | UploadError::Intake(IntakeError::Fault(_))
            | UploadError::Depot(DepotError::Fault(_)) => return Self::Fault(error.into()),
            UploadError::Intake(IntakeError::TooLarge { .. }) => StatusCode::PAYLOAD_TOO_LARGE,
            UploadError::Intake(IntakeError::DiskFull | IntakeError::LowDisk(_)) => StatusCode::INSUFFICIENT_STORAGE,
            UploadError::Intake(IntakeError::BrokenOff { .. }) => StatusCode::BAD_REQUEST,
            UploadError::Format(_) => StatusCode::UNPROCESSABLE_ENTITY,
            UploadError::Depot(_) => StatusCode::SERVICE_UNAVAILABLE,
            UploadError::Quota(_) => StatusCode::CONFLICT,
        };
        Self::Refused {
            status,
            message: error.to_string(),
        }
    }
}

impl From<TakeError> for Error {
    fn from(error: TakeError) -> Self {
        match error {
            TakeError::Store(error) => error.into(),
            TakeError::Quota(refusal) => Self::Refused {
                status: StatusCode::CONFLICT,
                message: refusal.to_string(),
            },
        }
    }
}

impl From<PartError> for Error {
    fn from(error: PartError) -> Self {
        let status = match error {
            PartError::Upload(error) => return error.into(),
            PartError::NotThere => return Self::NotFound("upload"),
            PartError::Gap { .. } => StatusCode::RANGE_NOT_SATISFIABLE,
            PartError::BrokenOff { .. } | PartError::TooLong => StatusCode::BAD_REQUEST,
            PartError::OtherSize { .. }
            | PartError::OtherBytes { .. }
            | PartError::TakenOver
            | PartError::Busy
            | PartError::TooMany
            | PartError::Elsewhere => StatusCode::CONFLICT,
        };
        Self::Refused {
            status,
            message: error.to_string(),
        }
    }
}

impl From<StatisticsFileError> for Error {
    fn from(error: StatisticsFileError) -> Self {
        match error {
            StatisticsFileError::Fault(error) => error.into(),
            StatisticsFileError::NoDataset => Self::NotFound("dataset"),
            StatisticsFileError::TooLarge => Self::Refused {
                status: StatusCode::PAYLOAD_TOO_LARGE,
                message: error.to_string(),
            },
            StatisticsFileError::Bad(error) => Self::refused(error.to_string()),
        }
    }
}

impl From<AddError> for Error {
    fn from(error: AddError) -> Self {
        match error {
            AddError::Fault(error) => error.into(),
            AddError::TooLarge => Self::Refused {
                status: StatusCode::PAYLOAD_TOO_LARGE,
                message: error.to_string(),
            },
            error => Self::refused(error.to_string()),
        }
    }
}

impl From<BundleError> for Error {
    fn from(error: BundleError) -> Self {
        let error = match error {
            BundleError::Fault(fault) => return fault.into(),
            error => error,
        };
        let status = match &error {
            BundleError::NotSettled(_) => StatusCode::CONFLICT,
            BundleError::TooLargeToWrite { .. } => StatusCode::UNPROCESSABLE_ENTITY,
            // The others are about reading one.
            _ => return Self::Fault(error.into()),
        };
        Self::Refused {
            status,
            message: error.to_string(),
        }
    }
}

impl From<LaunchError> for Error {
    fn from(error: LaunchError) -> Self {
        match error {
            LaunchError::Fault(error) => error.into(),
            LaunchError::Refused(fields) => Self::Invalid(fields),
        }
    }
}

impl From<ServersError> for Error {
    fn from(error: ServersError) -> Self {
        match error {
            ServersError::Fault(error) => error.into(),
            ServersError::Refused(fields) => Self::Invalid(fields),
            ServersError::NotFound => Self::NotFound("server"),
            ServersError::InUse(message) => Self::Refused {
                status: StatusCode::CONFLICT,
                message,
            },
            ServersError::Vault(error) => Self::refused(error.to_string()),
        }
    }
}
